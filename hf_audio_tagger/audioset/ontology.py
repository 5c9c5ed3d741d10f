"""AudioSet's 632 categories of sound, as the graph that they are.

>>> from hf_audio_tagger import ontology
>>> ontology["Dog"].path()
'Animal > Domestic animals, pets > Dog'
>>> ontology["Dog"] is ontology["/m/0bt9lr"]
True

`ontology` is the one instance of `Ontology`, a collection to be indexed, searched and iterated. 38
categories have several parents: "Growling" is below Dog, Cat and two more. "The ontology's order" is
that of Google's published file, depth first from its 7 roots.
The facts lie in ontology.tsv, which is read once, when first asked for.
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
    """One kind of sound, and its place among the others. Its id alone says which it is.

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
        return _by_id, (self.id,)  # a pickle is the id, and a copy is the category itself

    @property
    def parents(self) -> tuple["Category", ...]:
        """The categories just above, in the ontology's order; none for a root.

        >>> [parent.name for parent in ontology["Howl"].parents]
        ['Dog', 'Canidae, dogs, wolves']
        """
        return tuple(map(_by_id, self.parent_ids))

    @property
    def children(self) -> tuple["Category", ...]:
        """The categories just below, as AudioSet orders them.

        >>> [child.name for child in ontology["Thunderstorm"].children]
        ['Thunder']
        """
        return tuple(map(_by_id, self.child_ids))

    @property
    def abstract(self) -> bool:
        """Whether it only groups others, and nothing in AudioSet is labelled with it.

        >>> ontology["Human voice"].abstract, ontology["Speech"].abstract
        (True, False)
        """
        return "abstract" in self.restrictions

    @property
    def ambiguous(self) -> bool:
        """Whether AudioSet sets it aside ("blacklist"), most often as too hard to tell by ear.

        Twelve of the 527 classes are such, and models were trained on them all the same.

        >>> ontology["Clatter"].ambiguous
        True
        """
        return "blacklist" in self.restrictions

    def ancestors(self) -> tuple["Category", ...]:
        """All that is above, through every parent, in the ontology's order.

        >>> [above.name for above in ontology["Clip-clop"].ancestors()][-2:]
        ['Onomatopoeia', 'Clicking']
        """
        return _in_order({step.id for way in self._ways() for step in way} - {self.id})

    def descendants(self) -> tuple["Category", ...]:
        """All that is below, in the ontology's order, each once.

        >>> len(ontology["Vehicle"].descendants())
        44
        """
        return _in_order({below.id for below in self._below()})

    def path(self) -> str:
        """The way down to it as text, through the first parent wherever there are several.

        >>> ontology["Growling"].path()
        'Animal > Domestic animals, pets > Dog > Growling'
        """
        return self.paths()[0]

    def paths(self) -> tuple[str, ...]:
        """Every way down to it as text.

        >>> ontology["Bell"].paths()
        ('Music > Musical instrument > Bell', 'Sounds of things > Bell')
        """
        return tuple(" > ".join(step.name for step in way) for way in self._ways())

    def at_level(self, level: int) -> tuple["Category", ...]:
        """The step numbered `level` (a root is 1) of every way down to it, in the ontology's order.

        A way that is shorter gives its last step, which is the category itself.

        >>> [above.name for above in ontology["Bell"].at_level(1)]
        ['Music', 'Sounds of things']
        >>> [above.name for above in ontology["Bell"].at_level(2)]
        ['Musical instrument', 'Bell']
        """
        return _in_order({way[:level][-1].id for way in self._ways()})

    def _ways(self) -> tuple[tuple["Category", ...], ...]:
        if not self.parents:
            return ((self,),)
        return tuple((*way, self) for parent in self.parents for way in parent._ways())

    def _below(self) -> Iterator["Category"]:
        for child in self.children:
            yield child
            yield from child._below()


class Ontology:
    """A collection of `Category`, in the ontology's order.

    >>> len(ontology), next(iter(ontology)).name
    (632, 'Human sounds')
    >>> "Dog" in ontology, "dog" in ontology
    (True, False)
    """

    def __getitem__(self, name_or_id: str) -> Category:
        found = _by_name_or_id().get(name_or_id)
        if found is None:
            raise UnknownCategoryError(f"AudioSet has no {name_or_id!r}{_suggestion(name_or_id)}")
        return found

    def __contains__(self, item: object) -> bool:
        return isinstance(item, Category) or item in _by_name_or_id()

    def __iter__(self) -> Iterator[Category]:
        return iter(_categories())

    def __len__(self) -> int:
        return len(_categories())

    def __reduce__(self) -> tuple[object, ...]:
        return Ontology, ()  # it holds nothing of its own

    @property
    def roots(self) -> tuple[Category, ...]:
        """The categories with nothing above them.

        >>> [root.name for root in ontology.roots][:3]
        ['Human sounds', 'Animal', 'Music']
        """
        return tuple(category for category in self if not category.parent_ids)

    def find(self, text: str) -> tuple[Category, ...]:
        """Categories whose name has `text` in it, in any case.

        First the name that is just this, then those where a word begins with it, then the rest;
        alike ones in the ontology's order.

        >>> [found.name for found in ontology.find("guitar")][:3]
        ['Guitar', 'Electric guitar', 'Bass guitar']
        """
        wanted = text.casefold()
        word = re.compile(r"\b" + re.escape(wanted))

        def rank(category: Category) -> tuple[bool, bool]:
            name = category.name.casefold()
            return name != wanted, not word.search(name)

        return tuple(sorted((one for one in self if wanted in one.name.casefold()), key=rank))

    def tree(self, name_or_id: str | None = None, depth: int | None = None) -> str:
        """A category and all below it, or the whole ontology: a name a line, indented.

        `depth` says how many levels below the top ones are shown. A category with several parents
        is shown under each.

        >>> print(ontology.tree("Wind"))
        Wind
            Howl (wind)
            Rustling leaves
            Wind noise (microphone)
        """
        tops = self.roots if name_or_id is None else (self[name_or_id],)
        return "\n".join(line for top in tops for line in _branch(top, depth))

    def audioset_classes(self) -> tuple[Category, ...]:
        """The 527 classes of AudioSet's labels, by index: the outputs of AST and its like.

        >>> [category.name for category in ontology.audioset_classes()][:2]
        ['Speech', 'Male speech, man speaking']
        """
        return _by_index({one.audioset_index: one for one in self})

    def yamnet_classes(self) -> tuple[Category, ...]:
        """YAMNet's 521 classes, by index. They are AudioSet's, less six.

        >>> [category.name for category in ontology.yamnet_classes()][:2]
        ['Speech', 'Child speech, kid speaking']
        """
        return _by_index({one.yamnet_index: one for one in self})


def labels_are_audioset(labels: Iterable[str]) -> bool:
    """Whether there are labels, and each is the name or id of one of AudioSet's 527 classes.

    >>> labels_are_audioset(["Speech", "Dog"]), labels_are_audioset(["dog"])
    (True, False)
    """
    known = _by_name_or_id()
    found = [known.get(label) for label in labels]
    return bool(found) and all(one and one.audioset_index is not None for one in found)


@cache
def _categories() -> tuple[Category, ...]:
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
def _by_name_or_id() -> dict[str, Category]:
    """Both at once, as neither is ever the other: ids begin with /m/, /t/ or /g/.

    AudioSet's and YAMNet's lists of classes spell all their names as the ontology does, and no two
    categories share a name, so that a name from any of the three is enough.
    """
    return {key: one for one in _categories() for key in (one.name, one.id)}


def _by_id(id: str) -> Category:
    return _by_name_or_id()[id]


def _in_order(ids: set[str]) -> tuple[Category, ...]:
    return tuple(one for one in _categories() if one.id in ids)


def _by_index(by_index: dict[int | None, Category]) -> tuple[Category, ...]:
    return tuple(by_index[index] for index in sorted(i for i in by_index if i is not None))


def _branch(category: Category, depth: int | None) -> Iterator[str]:
    yield category.name
    if depth != 0:
        for child in category.children:
            for line in _branch(child, None if depth is None else depth - 1):
                yield f"    {line}"


def _suggestion(missing: object) -> str:
    text = str(missing)
    near = [found.name for found in ontology.find(text)[:3]]
    if not near:
        names = {one.name.casefold(): one.name for one in ontology}
        near = [names[close] for close in get_close_matches(text.casefold(), names, cutoff=0.7)]
    return f": did you mean {' or '.join(map(repr, near))}?" if near else ""


ontology = Ontology()
