"""The operators that recipes may name. A new one is a file beside this one, and a line here."""

from ..errors import SettingsError
from .contract import Build, Note, Operator
from .operators import video_tagging_from_audio_mapper
from .recipe import Recipe

OPERATORS: dict[str, Build] = {
    "video_tagging_from_audio_mapper": video_tagging_from_audio_mapper.build,
}


def build_operators(recipe: Recipe, note: Note) -> list[Operator]:
    """The recipe's operators, their options checked. Unknown ones are all named at once."""
    unknown = [step.operator for step in recipe.steps if step.operator not in OPERATORS]
    if unknown:
        raise SettingsError(
            f"Unknown operator{'s' if len(unknown) > 1 else ''}: {', '.join(unknown)}. "
            f"Known: {', '.join(sorted(OPERATORS))}."
        )
    return [OPERATORS[step.operator](step.options, recipe, note) for step in recipe.steps]
