"""Reads the statements and expressions of C++ host functions, as far as people write them around launches.

What is not of the grammar ends the reading with a NotTakenError that names the construct and its line.
"""

from __future__ import annotations

from contextlib import suppress

from evaluation.extension.cpp_expressions import ExpressionReader
from evaluation.extension.cpp_types import END
from evaluation.extension.nodes import (
    Alias,
    Assignment,
    Binary,
    Block,
    Call,
    Declaration,
    Evaluation,
    ForEach,
    If,
    Items,
    Literal,
    Loop,
    Name,
    Node,
    Parameter,
    Return,
    Statement,
)
from evaluation.extension.outcome import NotTakenError, not_understood
from evaluation.extension.tokens import Token, spelled

_STOPS = frozenset(["goto", "try", "do", "asm", "break", "continue", "delete", "new"])


class Parser(ExpressionReader):
    """Reads one sequence of tokens from its beginning."""

    def statements(self) -> tuple[Statement, ...]:
        """Everything that is left."""
        found: list[Statement] = []
        while self._peek() is not END:
            found += self._statement()
        return tuple(found)

    def _statement(self) -> list[Statement]:
        self._deeper(1)
        found = self._one_statement()
        self._deeper(-1)
        return found

    def _one_statement(self) -> list[Statement]:
        token = self._peek()
        if self._take(";"):
            return []
        if self._take("{"):
            return [Block(token.line, self._block())]
        if self._take("if"):
            return [self._if(token.line)]
        if self._take("for"):
            return [self._for(token.line)]
        if self._take("while"):
            condition = self._in_parentheses()
            return [Loop(token.line, (), condition, tuple(self._statement()))]
        if self._take("switch"):
            return [self._switch(token.line)]
        if self._take("return"):
            value = None if self._is(";") else self.expression()
            self._expect(";")
            return [Return(token.line, value)]
        if self._take("throw"):
            while not self._take(";"):
                self._next()
            return []
        if token.kind == "word" and token.text in _STOPS:
            raise not_understood(f"the statement {token.text}", token.line)
        if self._is("using", "typedef"):
            return self._alias()
        return self._declarations() if self._declares() else [self._evaluation()]

    def _block(self) -> tuple[Statement, ...]:
        found: list[Statement] = []
        while not self._take("}"):
            found += self._statement()
        return tuple(found)

    def _if(self, line: int) -> If:
        self._take("constexpr")
        condition = self._in_parentheses()
        yes = tuple(self._statement())
        no = tuple(self._statement()) if self._take("else") else ()
        return If(line, condition, yes, no)

    def _for(self, line: int) -> Statement:
        self._expect("(")
        end = self._type_end(self._at)
        if end is not None and [token.text for token in self._tokens[end + 1 : end + 2]] == [":"]:
            self._type()
            name = self._next().text
            self._expect(":")
            values = self.expression()
            self._expect(")")
            return ForEach(line, name, values, tuple(self._statement()))
        before = tuple(self._statement())
        condition: Node = Literal(line, True) if self._is(";") else self.expression()
        self._expect(";")
        after: list[Statement] = []
        while not self._take(")"):
            after.append(Evaluation(self._line(), self.expression()))
            self._take(",")
        return Loop(line, before, condition, tuple(self._statement()), tuple(after))

    def _switch(self, line: int) -> Statement:
        """Cases that each end with `break` or `return`, as a chain of branches."""
        value = self._in_parentheses()
        self._expect("{")
        cases: list[tuple[Node | None, tuple[Statement, ...]]] = []
        while not self._take("}"):
            conditions: list[Node] = []
            is_default = False
            while self._is("case", "default"):
                is_default = self._take("default") or is_default
                if self._take("case"):
                    label = self._line()
                    conditions.append(Binary(label, "==", value, self._choice()))
                self._expect(":")
            body: list[Statement] = []
            while not self._is("case", "default", "}", "break"):
                body += self._statement()
            if self._take("break"):
                self._expect(";")
            elif not self._is("}") and not (body and isinstance(body[-1], Return)):
                raise not_understood("a case that goes on into the next", self._line())
            either: Node = Literal(line, False)
            for one in conditions:
                either = Binary(line, "||", either, one)
            cases.append((None if is_default else either, tuple(body)))
        return Block(line, _chain(line, cases))

    def _alias(self) -> list[Statement]:
        line, word = self._line(), self._next().text
        if word == "typedef":
            text = self._type()
            name = self._next().text
        elif self._take("namespace"):
            while not self._take(";"):
                self._next()
            return []
        else:
            name = self._next().text
            if not self._take("="):  # using std::min;
                while not self._take(";"):
                    self._next()
                return []
            text = self._type()
        self._expect(";")
        return [Alias(line, name, text)]

    def _declares(self) -> bool:
        """Whether a declaration begins here: a type, and then a name."""
        end = self._type_end(self._at)
        if end is None or end >= len(self._tokens):
            return False
        if self._tokens[end].text == "[" and self._tokens[self._at].text in ("auto", "const"):
            return True
        follows = self._tokens[end + 1].text if end + 1 < len(self._tokens) else ""
        return self._tokens[end].kind == "word" and follows in ("=", ";", "(", "{", ",", "[")

    def _declarations(self) -> list[Statement]:
        text = self._type()
        if self._is("["):
            return self._structured()
        found: list[Statement] = []
        while True:
            line, name = self._line(), self._next().text
            found.append(Declaration(line, text, name, self._initial(text, line)))
            if self._take(";"):
                return found
            self._expect(",")
            while self._take("*", "&", "const"):
                text = text if text.endswith("*") else f"{text}*"

    def _initial(self, text: str, line: int) -> Node | None:
        if self._take("="):
            return self.expression()
        if self._take("("):
            return Call(line, Name(line, text), self._arguments(")"))
        if self._take("{"):
            return Items(line, self._arguments("}"))
        if self._is("["):
            raise not_understood("an array of the host", line)
        return None

    def _structured(self) -> list[Statement]:
        """`auto [a, b] = value;`."""
        line = self._next().line
        names = []
        while not self._take("]"):
            names.append(self._next())
            self._take(",")
        self._expect("=")
        value = self.expression()
        self._expect(";")
        targets = Items(line, tuple(Name(name.line, name.text) for name in names))
        return [Evaluation(line, Assignment(line, targets, "", value))]

    def _evaluation(self) -> Evaluation:
        line, node = self._line(), self.expression()
        if not self._is(";") and isinstance(node, Call):  # a macro may hold its own semicolon
            return Evaluation(line, node)
        self._expect(";")
        return Evaluation(line, node)


def _chain(line: int, cases: list[tuple[Node | None, tuple[Statement, ...]]]) -> tuple[Statement, ...]:
    """The cases of a `switch`, the default one last wherever it stands."""
    chain = next((body for condition, body in cases if condition is None), ())
    for condition, body in reversed(cases):
        if condition is not None:
            chain = (If(line, condition, body, chain),)
    return chain


def parameters(tokens: list[Token]) -> tuple[Parameter, ...]:
    """The parameters of a host function, from the tokens between its parentheses."""
    found: list[Parameter] = []
    begin = 0
    depth = 0
    for at, token in enumerate([*tokens, END]):
        depth += (token.text in ("(", "[", "{", "<")) - (token.text in (")", "]", "}", ">"))
        if at < len(tokens) and not (token.text == "," and depth == 0):
            continue
        if part := tokens[begin:at]:
            found.append(_parameter(part))
        begin = at + 1
    return tuple(found)


def _parameter(tokens: list[Token]) -> Parameter:
    default: Node | None = None
    equals = [at for at, token in enumerate(tokens) if token.text == "="]
    if equals:
        with suppress(NotTakenError):
            default = Parser(tokens[equals[0] + 1 :]).expression()
        tokens = tokens[: equals[0]]
    words = [token for token in tokens if token.kind == "word" or token.text not in ("[", "]")]
    if len(words) < 2 or words[-1].kind != "word":
        return Parameter(spelled(words), "", default)
    return Parameter(spelled(words[:-1]), words[-1].text, default)
