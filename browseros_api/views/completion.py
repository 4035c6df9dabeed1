"""The command ``completion``: a script by which a shell completes commands and options."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add_completion"]

_EXAMPLES = """examples:
  browseros-api completion bash > ~/.local/share/bash-completion/completions/browseros-api
  browseros-api completion zsh > ~/.zfunc/_browseros-api      # with fpath+=~/.zfunc in ~/.zshrc
  browseros-api completion fish > ~/.config/fish/completions/browseros-api.fish
"""

_BASH = """# browseros-api: completion for bash
_browseros_api() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" known=""
    if [ "$COMP_CWORD" -eq 1 ]; then
        known="{commands}"
    else
        case "${{COMP_WORDS[1]}}" in
{cases}
        esac
    fi
    COMPREPLY=()
    case "$word" in
        -*) COMPREPLY=( $(compgen -W "$known" -- "$word") ) ;;
        *) [ "$COMP_CWORD" -eq 1 ] && COMPREPLY=( $(compgen -W "$known" -- "$word") ) ;;
    esac
    return 0
}}
complete -o default -F _browseros_api browseros-api
"""

_ZSH = """#compdef browseros-api
_browseros_api() {{
    if (( CURRENT == 2 )); then
        compadd {commands}
        return
    fi
    if [[ "$words[CURRENT]" != -* ]]; then
        _files
        return
    fi
    case "$words[2]" in
{cases}
    esac
}}
if [ "$funcstack[1]" = "_browseros-api" ]; then
    _browseros_api "$@"
else
    compdef _browseros_api browseros-api
fi
"""


def add_completion(commands: Any) -> None:
    """Add the command; it completes all that are there when it is asked."""
    parser = commands.add_parser(
        "completion",
        help="print a script that completes commands and options",
        description="Prints a script that completes the commands and options of browseros-api.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=sorted(_SCRIPTS))
    parser.set_defaults(run=lambda given: _run(given, commands.choices))


def _run(given: argparse.Namespace, parsers: dict[str, argparse.ArgumentParser]) -> int:
    options = {name: _options(parser) for name, parser in parsers.items()}
    print(_SCRIPTS[given.shell](options), end="")
    return 0


def _options(parser: argparse.ArgumentParser) -> list[str]:
    """Its long options and its words, such as actions and choices."""
    words = [
        name for action in parser._actions for name in (*action.option_strings, *_choices(action))
    ]
    return [word for word in words if not word.startswith("-") or word.startswith("--")]


def _choices(action: argparse.Action) -> list[str]:
    return [] if action.option_strings else [str(word) for word in action.choices or ()]


def _bash(options: dict[str, list[str]]) -> str:
    cases = (f'            {name}) known="{" ".join(words)}" ;;' for name, words in options.items())
    return _BASH.format(commands=" ".join(options), cases="\n".join(cases))


def _zsh(options: dict[str, list[str]]) -> str:
    cases = (f"        {name}) compadd -- {' '.join(words)} ;;" for name, words in options.items())
    return _ZSH.format(commands=" ".join(options), cases="\n".join(cases))


def _fish(options: dict[str, list[str]]) -> str:
    lines = ["# browseros-api: completion for fish"]
    lines += [f"complete -c browseros-api -n __fish_use_subcommand -a {name}" for name in options]
    for name, words in options.items():
        seen = f"'__fish_seen_subcommand_from {name}'"
        for word in words:
            what = f"-l {word.removeprefix('--')}" if word.startswith("--") else f"-a {word}"
            lines.append(f"complete -c browseros-api -n {seen} {what}")
    return "\n".join(lines) + "\n"


_SCRIPTS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
