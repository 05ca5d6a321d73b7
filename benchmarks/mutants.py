"""Do the checks notice a small change? Mutates every right answer of every exercise, and grades the mutants.

    python -m benchmarks.mutants [EXERCISE ...] [--seeds 3] [--every 1] [--json FILE] [--docs]

A mutant is a right answer with one change: another operator, constant, function, argument, axis or variable, a part
left out, a statement removed, a gradient cut. A mutant that earns less than everything is killed; one that earns
everything with the first seed is graded with the others, too. What earns everything with all of them has survived, and
is either equivalent, by a reason in `mutants.json`, or a hole in the checks. A change in that file is what is printed
of a mutant, or /a regular expression/ that finds it. The exit status is 1 if there is a hole, or if the file has a
change that fits no survivor.

Mutation libraries such as cosmic-ray and mutmut mutate the files of a project and run its tests as a process for each
mutant; answers are single functions, and what goes wrong in them (axes, reductions, gradients) is not in their tables.
"""

import argparse
import ast
import copy
import difflib
import importlib
import inspect
import itertools
import json
import linecache
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from autograder import check
from lab_utils import load_definition
from nbverdict.files import write_whole

ROOT = Path(__file__).parent.parent
EQUIVALENT = Path(__file__).with_name("mutants.json")
DOCS = ROOT / "docs" / "checks.md"
SOLUTIONS = {
    "paired_dataset": ("multiview_vae/1_paired_dataset.ipynb", "PairedDataset"),
    "product_of_experts": ("multiview_vae/2_product_of_experts.ipynb", "product_of_experts"),
    "vae_loss": ("multiview_vae/3_multiview_vae.ipynb", "vae_loss"),
    "product_with_prior": ("cross_view/1_missing_views.ipynb", "product_with_prior"),
    "mixture_log_density": ("cross_view/2_any_posterior.ipynb", "mixture_log_density"),
    "agreement_scores": ("cross_view/3_agreement.ipynb", "agreement_scores"),
}

OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult},
    **{ast.FloorDiv: ast.Div, ast.Mod: ast.FloorDiv, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd},
}
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    **{ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,)},
    **{ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.Lt)},
    **{ast.In: (ast.NotIn,), ast.NotIn: (ast.In,)},
}
NAMES = {
    **{"sum": "mean", "mean": "sum", "exp": "expm1", "log": "log1p", "min": "max", "max": "min", "amax": "amin"},
    **{"minimum": "maximum", "maximum": "minimum", "zeros": "ones", "ones": "zeros", "zeros_like": "ones_like"},
    **{"ones_like": "zeros_like", "new_zeros": "new_ones", "softmax": "log_softmax", "logsumexp": "mean"},
    **{"binary_cross_entropy": "mse_loss", "mse_loss": "l1_loss", "square": "abs", "double": "float"},
    **{"unsqueeze": "squeeze", "log_prob": "cdf", "logaddexp": "maximum", "zip": "product"},
}
WORDS = {"sum": ("mean", "none"), "mean": ("sum",), "stable": ("quicksort",)}  # strings


class Mutant(NamedTuple):
    """A right answer with one change: the exercise, what was changed, and the answer, unless its definition fails."""

    exercise: str
    change: str
    answer: object


class Verdict(NamedTuple):
    """What became of a mutant: the checks that failed with the first seed to find it, and whether all did by errors."""

    mutant: Mutant
    failed: tuple[str, ...]
    crashed: bool

    @property
    def survived(self) -> bool:
        """Whether it earned everything with every seed."""
        return not self.failed


# Mutating


def alternatives(node: ast.AST, parameters: Sequence[str]) -> Iterator[ast.AST]:
    """Return what may stand in the place of a node."""
    match node:
        case ast.BinOp(left, operator, right):
            if other := OPERATORS.get(type(operator)):
                yield ast.BinOp(left, other(), right)
            yield from (left, right)
        case ast.UnaryOp(_, operand):
            yield operand
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
            yield from values
        case ast.Compare(left, [operator], right):
            yield from (ast.Compare(left, [other()], right) for other in COMPARISONS[type(operator)])
        case ast.Constant(value):
            yield from map(ast.Constant, _other_values(value))
        case ast.Call():
            yield from _other_calls(node)
        case ast.Subscript(value, ast.Slice(lower, upper, step)):
            yield value
            yield from (ast.Subscript(value, part, ast.Load()) for part in (lower, upper, step) if part)
        case ast.IfExp(test, body, other_body):
            yield from (body, other_body)
            yield ast.IfExp(test, other_body, body)
        case ast.If() | ast.For() | ast.Assign() | ast.AugAssign() | ast.Expr():
            yield ast.Pass()
            if isinstance(node, ast.AugAssign) and (other := OPERATORS.get(type(node.op))):
                yield ast.AugAssign(node.target, other(), node.value)
            if isinstance(node, ast.If):
                yield from (ast.If(ast.Constant(value), node.body, node.orelse) for value in (True, False))
        case ast.Return(ast.Tuple(elements)):
            for i in range(len(elements) - 1):
                swapped = [*elements[:i], elements[i + 1], elements[i], *elements[i + 2 :]]
                yield ast.Return(ast.Tuple(swapped, ast.Load()))
        case ast.comprehension(target, iterable, conditions):
            if conditions:
                yield ast.comprehension(target, iterable, [], 0)
        case ast.Name(name, ast.Load()) if name in parameters:
            yield ast.Name(parameters[(parameters.index(name) + 1) % len(parameters)], ast.Load())
            yield ast.Call(ast.Attribute(node, "detach", ast.Load()), [], [])


def _other_values(value: object) -> Sequence[object]:
    match value:
        case bool():
            return (not value,)
        case int() | float():
            return (value + 1, value - 1, *((-value, 2 * value) if value else ()))
        case str():
            return WORDS.get(value, ())
    return ()


def _other_calls(node: ast.Call) -> Iterator[ast.AST]:
    function, positional, named = node.func, node.args, node.keywords
    method = isinstance(function, ast.Attribute) and not (
        isinstance(function.value, ast.Name) and function.value.id in ("torch", "np", "F", "nn", "math", "random")
    )
    if method:
        yield function.value  # type: ignore[union-attr]
    elif positional and not isinstance(positional[0], ast.Starred):
        yield positional[0]
    if other := NAMES.get(getattr(function, "attr", getattr(function, "id", ""))):
        renamed = (
            ast.Attribute(function.value, other, ast.Load())
            if isinstance(function, ast.Attribute)
            else ast.Name(other, ast.Load())
        )
        yield ast.Call(renamed, positional, named)
    for i in range(len(positional)):
        yield ast.Call(function, positional[:i] + positional[i + 1 :], named)
    for i in range(len(positional) - 1):
        swapped = [*positional[:i], positional[i + 1], positional[i], *positional[i + 2 :]]
        yield ast.Call(function, swapped, named)
    for i in range(len(named)):
        yield ast.Call(function, positional, named[:i] + named[i + 1 :])


class _Replace(ast.NodeTransformer):
    """Puts a new node in the place of the one with a number."""

    def __init__(self, number: int, new: ast.AST) -> None:
        self._number, self._new = number, new

    def visit(self, node: ast.AST) -> ast.AST:
        """Return the new node in its place, every other one as it was."""
        return self._new if getattr(node, "number", None) == self._number else self.generic_visit(node)


def namespace_of(answer: Any) -> dict[str, Any]:
    """Return the names of the file, or of the notebook, that a function or class is from."""
    methods = [answer, *vars(answer).values()] if inspect.isclass(answer) else [answer]
    return next(method.__globals__ for method in methods if inspect.isfunction(method))


def definition_of(answer: Any) -> tuple[str, ast.stmt]:
    """Return the file that a function or class is from (of a notebook, the cell), and its definition."""
    methods = [answer, *vars(answer).values()] if inspect.isclass(answer) else [answer]
    file = next(method.__code__.co_filename for method in methods if inspect.isfunction(method))
    for node in ast.parse("".join(linecache.getlines(file))).body:
        if getattr(node, "name", None) == answer.__name__:
            return file, node
    raise LookupError(f"{answer.__name__} is not defined in {file}")


def definitions(answer: Any) -> list[ast.stmt]:
    """Return the definition of a function or class, after those of its own file that it uses."""
    found: dict[str, ast.stmt] = {}
    names, (file, _) = namespace_of(answer), definition_of(answer)

    def add(one: Any) -> None:
        where, node = definition_of(one)
        if where != file:
            return
        written = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
        own_names = {part.id for part in written if isinstance(part.ctx, ast.Store)}
        for name in sorted({part.id for part in written} - own_names):
            used = names.get(name)
            own = inspect.isfunction(used) or (inspect.isclass(used) and used.__module__ == answer.__module__)
            if own and used is not one and name not in found:
                add(used)
        found[one.__name__] = node

    add(answer)
    return list(found.values())


def mutants_of(exercise: str, answer: Any, where: str, done: set[tuple[str, str]]) -> Iterator[Mutant]:
    """Return the mutants of a right answer, each change once; `done` holds what other answers use and had mutated."""
    tree = ast.Module(definitions(answer), [])
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            node.body = node.body[1:]
    for number, node in enumerate(ast.walk(tree)):
        node.number = number  # type: ignore[attr-defined]
    before, seen = ast.unparse(tree).splitlines(), set()
    file, _ = definition_of(answer)
    for definition in tree.body:
        known = file, definition.name  # type: ignore[attr-defined]  # all of them are functions and classes
        if known in done:
            continue
        done.add(known)
        for node, parameters in _inside(definition):
            for new in alternatives(node, parameters):
                changed = _Replace(node.number, copy.deepcopy(new)).visit(copy.deepcopy(tree))  # type: ignore[attr-defined]
                after = ast.unparse(ast.fix_missing_locations(changed)).splitlines()
                change = f"{where}: {_difference(before, after)}"
                if after != before and change not in seen:
                    seen.add(change)
                    yield Mutant(exercise, change, _made("\n".join(after), answer))


def _inside(definition: ast.stmt) -> Iterator[tuple[ast.AST, list[str]]]:
    """Return what may be changed in a definition, with the parameters of the function around it."""
    for function in (node for node in ast.walk(definition) if isinstance(node, ast.FunctionDef)):
        arguments = function.args
        every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        parameters = [argument.arg for argument in every if argument.arg != "self"]
        yield from ((node, parameters) for node in ast.walk(function) if node is not function)


def _difference(before: list[str], after: list[str]) -> str:
    lines = list(difflib.ndiff(before, after))
    was, is_ = (" ".join(line[2:].strip() for line in lines if line.startswith(mark)) for mark in ("- ", "+ "))
    return f"{was} → {is_}"


def _made(source: str, answer: Any) -> object:
    """Return the answer that a source defines where the original is; one that cannot be defined fails when called."""
    namespace = dict(namespace_of(answer))
    try:
        exec(compile(source, "<mutant>", "exec"), namespace)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"

        def undefined(*args: object, **kwargs: object) -> None:
            raise RuntimeError(reason)

        return undefined
    return namespace[answer.__name__]


def right_answers(exercise: str) -> dict[str, Any]:
    """Return the right answers to an exercise: the solution, and those that the tests know."""
    notebook, name = SOLUTIONS[exercise]
    solution = load_definition(ROOT / "solutions" / notebook, name)
    known = importlib.import_module(f"tests.answers.{exercise}").RIGHT
    return {"solution": solution} | {answer.__name__: answer for answer in known}


def mutants(exercise: str, every: int = 1) -> Iterator[Mutant]:
    """Return the mutants of an exercise's right answers, or every n-th of them."""
    done: set[tuple[str, str]] = set()
    answers = right_answers(exercise).items()
    found = itertools.chain.from_iterable(mutants_of(exercise, answer, where, done) for where, answer in answers)
    yield from itertools.islice(found, 0, None, every)


# Judging


def judge(mutant: Mutant, seeds: int = 3, grade: Callable[..., Any] = check) -> Verdict:
    """Grade a mutant with the first seed, and with the others as long as it earns everything."""
    for seed in range(seeds):
        results = grade(mutant.exercise, mutant.answer, seed=seed).results
        failed = [result for result in results if result.status != "passed"]
        if failed:
            crashed = len(failed) == len(results) and all(result.status == "error" for result in failed)
            return Verdict(mutant, tuple(result.name for result in failed), crashed)
    return Verdict(mutant, (), False)


def equivalents() -> dict[str, dict[str, list[str]]]:
    """Return the changes that leave an answer right, by exercise and reason."""
    stored: dict[str, dict[str, list[str]]] = json.loads(EQUIVALENT.read_text())
    return stored


def fits(entry: str, change: str) -> bool:
    """Return whether a change is the one that `mutants.json` has."""
    return bool(re.search(entry[1:-1], change)) if entry.startswith("/") else entry == change


def row(verdicts: Sequence[Verdict], equivalent: Sequence[str]) -> dict[str, Any]:
    """Return the numbers of an exercise; `equivalent` has the changes that leave an answer right."""
    survived = [verdict.mutant.change for verdict in verdicts if verdict.survived]
    holes = [change for change in survived if not any(fits(entry, change) for entry in equivalent)]
    counted = len(verdicts) - (len(survived) - len(holes))
    checks = Counter(name for verdict in verdicts for name in verdict.failed)
    alone = Counter(verdict.failed[0] for verdict in verdicts if len(verdict.failed) == 1)
    return {
        "mutants": len(verdicts),
        "crashed": sum(verdict.crashed for verdict in verdicts),
        "killed": len(verdicts) - len(survived),
        "equivalent": len(survived) - len(holes),
        "holes": holes,
        "score": (counted - len(holes)) / counted,
        "checks": {name: (count, alone[name]) for name, count in checks.most_common()},
    }


def unused(verdicts: Sequence[Verdict], equivalent: Sequence[str]) -> list[str]:
    """Return the changes that are said to leave an answer right, but that no mutant which survived fits."""
    survived = [verdict.mutant.change for verdict in verdicts if verdict.survived]
    return [entry for entry in equivalent if not any(fits(entry, change) for change in survived)]


def page(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the tables of docs/checks.md."""
    lines = ["| exercise | mutants | raise an error at once | killed | equivalent | survive | mutation score |"]
    lines.append("| --- " * 7 + "|")
    for exercise, found in rows.items():
        numbers = (found["mutants"], found["crashed"], found["killed"], found["equivalent"], len(found["holes"]))
        lines.append(f"| {exercise} | {' | '.join(map(str, numbers))} | {found['score']:.1%} |")
    for exercise, found in rows.items():
        lines += [
            "",
            f"| checks of {exercise} | mutants that fail it | ... and no other check |",
            "| --- | --- | --- |",
        ]
        names = ((name.replace("|", "\\|"), counts) for name, counts in found["checks"].items())
        lines += [f"| {name} | {count} | {alone} |" for name, (count, alone) in names]
    return "\n".join(lines)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("exercises", nargs="*", metavar="EXERCISE", help=f"default: all of {', '.join(SOLUTIONS)}")
    parser.add_argument("--seeds", type=int, default=3, help="with which a mutant must earn everything to survive")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="grade every N-th mutant only")
    parser.add_argument("--json", type=Path, help="write the numbers, and what survived, to this file")
    parser.add_argument("--docs", action="store_true", help=f"write the tables into {DOCS.relative_to(ROOT)}")
    options = parser.parse_args()
    if unknown := set(options.exercises) - set(SOLUTIONS):
        parser.error(f"no exercise {', '.join(sorted(unknown))}; there are {', '.join(SOLUTIONS)}")
    if options.docs and (options.exercises or options.every > 1):
        parser.error("--docs goes with all mutants of all exercises")
    known, rows, wrong = equivalents(), {}, []
    for exercise in options.exercises or SOLUTIONS:
        verdicts = [judge(mutant, options.seeds) for mutant in mutants(exercise, options.every)]
        equivalent = [change for changes in known.get(exercise, {}).values() for change in changes]
        rows[exercise] = row(verdicts, equivalent)
        if options.every == 1:
            wrong += [f"{exercise}: {change}" for change in unused(verdicts, equivalent)]
        print(f"{exercise}: {rows[exercise]['mutants']} mutants, score {rows[exercise]['score']:.1%}", flush=True)
        for hole in rows[exercise]["holes"]:
            print(f"  survives: {hole}", flush=True)
    for change in wrong:
        print(f"no mutant that survives fits this line of {EQUIVALENT.name}: {change}")
    print(f"\n{page(rows)}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    if options.docs:
        before, rest = DOCS.read_text().split("<!-- mutants -->\n")
        after = rest.split("<!-- end of mutants -->")[1]
        write_whole(DOCS, f"{before}<!-- mutants -->\n{page(rows)}\n<!-- end of mutants -->{after}".encode())
    return int(bool(wrong) or any(found["holes"] for found in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
