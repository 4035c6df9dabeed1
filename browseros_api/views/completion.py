"""The command ``completion``: a script by which a shell completes commands and options."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, NamedTuple

from .parsing import add_command

__all__ = ["add_completion"]

_EXAMPLES = """examples:
  browseros-api completion bash > ~/.local/share/bash-completion/completions/browseros-api
  browseros-api completion zsh > ~/.zfunc/_browseros-api      # with fpath+=~/.zfunc in ~/.zshrc
  browseros-api completion fish > ~/.config/fish/completions/browseros-api.fish
"""

_BASH = """# browseros-api: completion for bash
_browseros_api() {{
    local IFS=$' \\n' word="${{COMP_WORDS[COMP_CWORD]}}" words="" options=""
    case "${{COMP_WORDS[*]:1:COMP_CWORD-1}} " in
{cases}
    esac
    [[ "$word" == -* ]] && words="$options"
    COMPREPLY=( $(compgen -W "$words" -- "$word") )
}}
complete -o default -F _browseros_api browseros-api
"""

_ZSH = """#compdef browseros-api
_browseros_api() {{
    local -a names options
    case "${{words[2,CURRENT-1]}} " in
{cases}
    esac
    if [[ "$words[CURRENT]" == -* ]]; then
        compadd -- $options
    elif (( $#names )); then
        compadd -- $names
    else
        _files
    fi
}}
if [ "$funcstack[1]" = "_browseros-api" ]; then
    _browseros_api "$@"
else
    compdef _browseros_api browseros-api
fi
"""


def add_completion(commands: Any) -> None:
    """Add the command; it completes all that are there when it is asked."""
    parser = add_command(
        commands, "completion", lambda given: _run(given, commands.choices),
        told_as="print a script that completes commands and options",
        description="Prints a script that completes the commands and options of browseros-api.",
        examples=_EXAMPLES,
    )  # fmt: skip
    parser.add_argument("shell", choices=sorted(_SCRIPTS))


def _run(given: argparse.Namespace, parsers: dict[str, argparse.ArgumentParser]) -> int:
    known = [Known("", [*parsers], ["--help", "--version"]), *_known(parsers)]
    print(_SCRIPTS[given.shell](known[::-1]), end="")  # what begins like another comes before it
    return 0


class Known(NamedTuple):
    """What may come after ``line``: words, such as actions and choices, and long options."""

    line: str
    words: list[str]
    options: list[str]


def _known(parsers: dict[str, argparse.ArgumentParser], before: str = "") -> Iterator[Known]:
    for name, parser in parsers.items():
        line, actions = f"{before}{name} ", parser._actions
        options = [one for action in actions for one in action.option_strings if one[:2] == "--"]
        choices = [action.choices or () for action in actions if not action.option_strings]
        yield Known(line, [str(word) for words in choices for word in words], options)
        for deeper in choices:
            if isinstance(deeper, dict):  # commands below this one
                yield from _known(deeper, line)


def _bash(known: list[Known]) -> str:
    return _BASH.format(cases=_cases(known, "words='{}' options='{}'"))


def _zsh(known: list[Known]) -> str:
    return _ZSH.format(cases=_cases(known, "names=({}) options=({})"))


def _cases(known: list[Known], assigned: str) -> str:
    lines = []
    for line, words, options in known:
        pattern = f'"{line}"*' if line else '" "'
        lines.append(f"        {pattern}) {assigned.format(' '.join(words), ' '.join(options))} ;;")
    return "\n".join(lines)


def _fish(known: list[Known]) -> str:
    lines = ["# browseros-api: completion for fish"]
    for line, words, options in known:
        seen = [f"__fish_seen_subcommand_from {word}" for word in line.split()]
        fresh = f"not __fish_seen_subcommand_from {' '.join(words)}"
        when = "; and ".join([*seen, *([fresh] if words else [])])
        lines += [f"complete -c browseros-api -f -n '{when}' -a {word}" for word in words]
        when = "; and ".join(seen) or "__fish_use_subcommand"
        lines += [f"complete -c browseros-api -n '{when}' -l {one[2:]}" for one in options]
    return "\n".join(lines) + "\n"


_SCRIPTS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
