"""AudioSet's 632 categories of sound, a graph.

>>> from hf_audio_tagger import ontology
>>> ontology["Dog"].path()
'Animal > Domestic animals, pets > Dog'
>>> ontology["Dog"] is ontology["/m/0bt9lr"]
True

`ontology` is the only instance of `Ontology`, a collection to index, search and iterate. 38
categories have several parents: "Growling" is below Dog, Cat and two more. "The ontology's order" is
that of Google's published file, depth first from its 7 roots.
The data are in ontology.tsv, which is read on first use.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from ..errors import TaggerError


class UnknownCategoryError(TaggerError, KeyError):
    """A name or id that AudioSet does not have.

    >>> ontology["Speach"]
    Traceback (most recent call last):
    hf_audio_tagger.audioset.ontology.UnknownCategoryError: AudioSet has no 'Speach': did you mean 'Speech'?
    """

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the message's repr


@dataclass(frozen=True)
class Category:
    """One kind of sound and its place in the graph. Categories are equal if their ids are.

    >>> dog = ontology["Dog"]
    >>> dog
    Category(id='/m/0bt9lr', name='Dog')
    >>> [child.name for child in dog.children][:3]
    ['Bark', 'Yip', 'Howl']
    >>> dog.audioset_index, dog.yamnet_index  # None where a model has no such class
    (74, 69)
    """

    id: str
    name: str = field(compare=False)
    parent_ids: tuple[str, ...] = field(compare=False, repr=False)
    child_ids: tuple[str, ...] = field(compare=False, repr=False)
    restrictions: frozenset[str] = field(compare=False, repr=False)
    audioset_index: int | None = field(compare=False, repr=False)
    yamnet_index: int | None = field(compare=False, repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        return get_category, (self.id,)  # only the id is pickled, and a copy is the same object

    @property
    def parents(self) -> tuple["Category", ...]:
        """The categories just above, in the ontology's order; none for a root.

        >>> [parent.name for parent in ontology["Howl"].parents]
        ['Dog', 'Canidae, dogs, wolves']
        """
        return tuple(map(get_category, self.parent_ids))

    @property
    def children(self) -> tuple["Category", ...]:
        """The categories just below, as AudioSet orders them.

        >>> [child.name for child in ontology["Thunderstorm"].children]
        ['Thunder']
        """
        return tuple(map(get_category, self.child_ids))

    @property
    def is_abstract(self) -> bool:
        """Whether it only groups others: nothing in AudioSet is labelled with it.

        >>> ontology["Human voice"].is_abstract, ontology["Speech"].is_abstract
        (True, False)
        """
        return "abstract" in self.restrictions

    @property
    def is_ambiguous(self) -> bool:
        """Whether AudioSet excludes it ("blacklist"), most often as too hard to recognize.

        This applies to 12 of the 527 classes; models are trained on them anyway.

        >>> ontology["Clatter"].is_ambiguous
        True
        """
        return "blacklist" in self.restrictions

    def ancestors(self) -> tuple["Category", ...]:
        """All categories above it, through every parent, in the ontology's order.

        >>> [above.name for above in ontology["Clip-clop"].ancestors()][-2:]
        ['Onomatopoeia', 'Clicking']
        """
        return in_order({step.id for route in self._routes() for step in route} - {self.id})

    def descendants(self) -> tuple["Category", ...]:
        """All categories below it, in the ontology's order, each once.

        >>> len(ontology["Vehicle"].descendants())
        44
        """
        found: set[str] = set()
        queue = [*self.child_ids]
        while queue:
            found.add(id := queue.pop())
            queue += get_category(id).child_ids
        return in_order(found)

    def path(self) -> str:
        """The path from its root as text, through the first parent wherever there are several.

        >>> ontology["Growling"].path()
        'Animal > Domestic animals, pets > Dog > Growling'
        """
        return self.paths()[0]

    def paths(self) -> tuple[str, ...]:
        """Every path from a root to it as text.

        >>> ontology["Bell"].paths()
        ('Music > Musical instrument > Bell', 'Sounds of things > Bell')
        """
        return tuple(" > ".join(step.name for step in route) for route in self._routes())

    def at_level(self, level: int) -> tuple["Category", ...]:
        """The categories at `level` (1 is a root) of every path to it, in the ontology's order.

        A path that is shorter gives its last category, which is this one.

        >>> [above.name for above in ontology["Bell"].at_level(1)]
        ['Music', 'Sounds of things']
        >>> [above.name for above in ontology["Bell"].at_level(2)]
        ['Musical instrument', 'Bell']
        """
        return in_order({route[:level][-1].id for route in self._routes()})

    def _routes(self) -> tuple[tuple["Category", ...], ...]:
        if not self.parents:
            return ((self,),)
        return tuple((*route, self) for parent in self.parents for route in parent._routes())


class Ontology:
    """A collection of `Category`, in the ontology's order.

    >>> len(ontology), next(iter(ontology)).name
    (632, 'Human sounds')
    >>> "Dog" in ontology, "dog" in ontology
    (True, False)
    """

    def __getitem__(self, name_or_id: str) -> Category:
        found = index_categories().get(name_or_id)
        if found is None:
            raise UnknownCategoryError(f"AudioSet has no {name_or_id!r}{suggest_names(name_or_id)}")
        return found

    def __contains__(self, item: object) -> bool:
        return isinstance(item, Category) or item in index_categories()

    def __iter__(self) -> Iterator[Category]:
        return iter(read_categories())

    def __len__(self) -> int:
        return len(read_categories())

    @property
    def roots(self) -> tuple[Category, ...]:
        """The categories without parents.

        >>> [root.name for root in ontology.roots][:3]
        ['Human sounds', 'Animal', 'Music']
        """
        return tuple(category for category in self if not category.parent_ids)

    def find(self, text: str) -> tuple[Category, ...]:
        """Categories whose name has `text` in it, in any case.

        An exact name comes first, then those with a word that begins with `text`, then the rest,
        each in the ontology's order.

        >>> [found.name for found in ontology.find("guitar")][:3]
        ['Guitar', 'Electric guitar', 'Bass guitar']
        """
        wanted = text.casefold()
        word = re.compile(r"\b" + re.escape(wanted))
        names = {one: one.name.casefold() for one in self if wanted in one.name.casefold()}
        return tuple(sorted(names, key=lambda one: (names[one] != wanted, not word.search(names[one]))))

    def tree(self, name_or_id: str | None = None, depth: int | None = None) -> str:
        """A category and all below it, or the whole ontology, as indented lines.

        `depth` limits the levels that are shown below the first. A category with several parents
        is shown under each.

        >>> print(ontology.tree("Wind"))
        Wind
            Howl (wind)
            Rustling leaves
            Wind noise (microphone)
        """
        tops = self.roots if name_or_id is None else (self[name_or_id],)
        return "\n".join(line for top in tops for line in draw_branch(top, depth))

    def audioset_classes(self) -> tuple[Category, ...]:
        """The 527 classes of AudioSet's labels, by index: the outputs of AST and similar models.

        >>> [category.name for category in ontology.audioset_classes()][:2]
        ['Speech', 'Male speech, man speaking']
        """
        return sort_by_index({one.audioset_index: one for one in self})

    def yamnet_classes(self) -> tuple[Category, ...]:
        """YAMNet's 521 classes, by index: AudioSet's without six.

        >>> [category.name for category in ontology.yamnet_classes()][:2]
        ['Speech', 'Child speech, kid speaking']
        """
        return sort_by_index({one.yamnet_index: one for one in self})


def labels_are_audioset(labels: Iterable[str]) -> bool:
    """Whether there are labels, and each is the name or id of one of AudioSet's 527 classes.

    >>> labels_are_audioset(["Speech", "Dog"]), labels_are_audioset(["dog"])
    (True, False)
    """
    known = index_categories()
    found = [known.get(label) for label in labels]
    return bool(found) and all(one and one.audioset_index is not None for one in found)


@cache
def read_categories() -> tuple[Category, ...]:
    text = files("hf_audio_tagger.audioset").joinpath("ontology.tsv").read_text("utf-8")
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    parents: dict[str, list[str]] = {}
    for id, _, children, *_ in rows:
        for child in children.split():
            parents.setdefault(child, []).append(id)
    return tuple(
        Category(
            id=id,
            name=name,
            parent_ids=tuple(parents.get(id, ())),
            child_ids=tuple(children.split()),
            restrictions=frozenset(restrictions.split()),
            audioset_index=int(audioset_index) if audioset_index else None,
            yamnet_index=int(yamnet_index) if yamnet_index else None,
        )
        for id, name, children, restrictions, audioset_index, yamnet_index in rows
    )


@cache
def index_categories() -> dict[str, Category]:
    """Names and ids in one dict. They never clash: ids begin with /m/, /t/ or /g/.

    AudioSet's and YAMNet's lists of classes use the same names as the ontology, and names are
    unique, so a name from any of the three identifies a category.
    """
    return {key: one for one in read_categories() for key in (one.name, one.id)}


def match_category(text: str) -> Category | None:
    """The category that a label names: by its id, or by its whole name in any case.

    >>> match_category("siren"), match_category("espresso machine")
    (Category(id='/m/03kmc9', name='Siren'), None)
    """
    return index_categories().get(text) or index_in_lower_case().get(text.casefold())


@cache
def index_in_lower_case() -> dict[str, Category]:
    return {one.name.casefold(): one for one in read_categories()}


def get_category(id: str) -> Category:
    return index_categories()[id]


def in_order(ids: set[str]) -> tuple[Category, ...]:
    return tuple(one for one in read_categories() if one.id in ids)


def sort_by_index(by_index: dict[int | None, Category]) -> tuple[Category, ...]:
    return tuple(by_index[index] for index in sorted(i for i in by_index if i is not None))


def draw_branch(category: Category, depth: int | None) -> Iterator[str]:
    yield category.name
    if depth != 0:
        for child in category.children:
            for line in draw_branch(child, None if depth is None else depth - 1):
                yield f"    {line}"


def suggest_names(missing: object) -> str:
    text = str(missing)
    near = [found.name for found in ontology.find(text)[:3]]
    if not near:
        names = {one.name.casefold(): one.name for one in ontology}
        near = [names[close] for close in get_close_matches(text.casefold(), names, cutoff=0.7)]
    return f": did you mean {' or '.join(map(repr, near))}?" if near else ""


ontology = Ontology()
