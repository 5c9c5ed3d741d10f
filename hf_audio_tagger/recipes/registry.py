"""The operators that recipes may name. A new one is a file in `operators/` and a line here."""

from ..errors import SettingsError
from .operator import Operator
from .operators.video_tagging_from_audio_mapper import VideoTaggingFromAudioMapper
from .recipe import Note, Recipe

CLASSES: tuple[type[Operator], ...] = (VideoTaggingFromAudioMapper,)
OPERATORS = {operator.name: operator for operator in CLASSES}


def build_operators(recipe: Recipe, note: Note) -> list[Operator]:
    """The recipe's operators, their options checked. Unknown ones are all named at once."""
    unknown = [step.operator for step in recipe.process if step.operator not in OPERATORS]
    if unknown:
        raise SettingsError(
            f"Unknown operator{'s' if len(unknown) > 1 else ''}: {', '.join(unknown)}. "
            f"Known: {', '.join(sorted(OPERATORS))}."
        )
    return [OPERATORS[step.operator].from_options(step.options, recipe, note) for step in recipe.process]
