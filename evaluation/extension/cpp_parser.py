"""Reads the statements and expressions of C++ host functions, as far as people write them around launches.

What is not of the grammar ends the reading with a NotTakenError that names the construct and its line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from contextlib import suppress

from evaluation.answer.expression_parser import C_TYPES
from evaluation.extension.nodes import (
    Alias,
    Assignment,
    Binary,
    Block,
    Call,
    Cast,
    Choice,
    Declaration,
    Evaluation,
    ForEach,
    If,
    Index,
    Items,
    KernelLaunch,
    Lambda,
    Literal,
    Loop,
    Member,
    Name,
    Node,
    Parameter,
    Return,
    SizeOf,
    Statement,
    Unary,
)
from evaluation.extension.outcome import NotTakenError, not_understood
from evaluation.extension.tokens import Token, spelled

_MAX_DEPTH = 40
"""Levels of nesting of statements and expressions together."""
_MAX_TEMPLATE = 128
"""Tokens of one list of template arguments."""
_LEVELS = ("||", "&&", "|", "^", "&", "== !=", "< <= > >=", "<< >>", "+ -", "* / %")
_PRECEDENCE = {sign: level for level, signs in enumerate(_LEVELS) for sign in signs.split()}
_ASSIGNMENTS = frozenset(["=", "+=", "-=", "*=", "/=", "%=", "<<=", ">>=", "&=", "|=", "^="])
_TYPE_WORDS = frozenset(word for name in C_TYPES for word in name.split()) | {"void", "auto", "scalar_t"}
_BEFORE_TYPES = frozenset(
    ["const", "static", "constexpr", "inline", "typename", "struct", "extern", "volatile", "register"]
)
_CASTS = frozenset(["static_cast", "reinterpret_cast", "const_cast", "dynamic_cast"])
_STOPS = frozenset(["goto", "try", "do", "asm", "break", "continue", "delete", "new"])
_NUMBER = re.compile(
    r"(?P<float>(?:\d[\d']*\.[\d']*|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)[fFlL]?"
    r"|(?P<hex>0[xX][\da-fA-F']+)[uUlL]*|(?P<integer>\d[\d']*)[uUlLzZ]*",
    re.ASCII,
)
_END = Token("sign", "", 0, 0)


def number(text: str, line: int) -> Literal:
    """A number as C++ writes it."""
    found = _NUMBER.fullmatch(text)
    with suppress(ValueError):
        if found and found["float"]:
            return Literal(line, float(found["float"].replace("'", "")))
        if found and found["hex"]:
            return Literal(line, int(found["hex"].replace("'", ""), 16))
        if found and len(text) < 24:
            return Literal(line, int(found["integer"].replace("'", "")))
    raise not_understood(f"the number {text:.40}", line)


class Parser:
    """Reads one sequence of tokens from its beginning."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = list(tokens)
        self._at = 0
        self._depth = 0

    # --- tokens

    def _peek(self, ahead: int = 0) -> Token:
        place = self._at + ahead
        return self._tokens[place] if 0 <= place < len(self._tokens) else _END

    def _line(self) -> int:
        return self._peek().line or (self._tokens[-1].line if self._tokens else 0)

    def _next(self) -> Token:
        token = self._peek()
        if token is _END:
            raise not_understood("the code ends in the middle of a statement", self._line())
        self._at += 1
        return token

    def _is(self, *texts: str) -> bool:
        return self._peek().kind in ("sign", "word") and self._peek().text in texts

    def _take(self, *texts: str) -> bool:
        found = self._is(*texts)
        self._at += found
        return found

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise not_understood(f"{self._peek().text or 'the end'!r:.40} where {text} belongs", self._line())

    def _deeper(self, change: int) -> None:
        self._depth += change
        if self._depth > _MAX_DEPTH:
            raise not_understood(f"code nested more than {_MAX_DEPTH} deep", self._line())

    # --- types

    def _type_end(self, at: int) -> int | None:
        """Where the type that begins at a place ends; None if there is none."""
        words: list[str] = []
        while self._word(at):
            text = self._tokens[at].text
            if text in _BEFORE_TYPES:
                at += 1
            elif not words or (text in _TYPE_WORDS and words[-1] in ("unsigned", "signed", "long", "short")):
                words.append(text)
                at = self._qualified(at + 1)
                if at < len(self._tokens) and self._tokens[at].text == "<":
                    angle = self._template_end(at)
                    if angle is None:
                        return None
                    at = self._qualified(angle)
            else:
                break
        if not words:
            return None
        while at < len(self._tokens) and self._tokens[at].text in ("*", "&", "&&", "const", "__restrict__"):
            at += 1
        return at

    def _word(self, at: int) -> bool:
        return at < len(self._tokens) and self._tokens[at].kind == "word"

    def _qualified(self, at: int) -> int:
        """Behind `::name` as often as it comes."""
        while at < len(self._tokens) and self._tokens[at].text == "::" and self._word(at + 1):
            at += 2
        return at

    def _template_end(self, at: int) -> int | None:
        """Behind the `>` of the template arguments whose `<` stands at a place; None if they are none."""
        depth = 0
        end = min(len(self._tokens), at + _MAX_TEMPLATE)
        while at < end:
            token = self._tokens[at]
            if token.text == "<":
                depth += 1
            elif token.text in (">", ">>"):
                depth -= len(token.text)
            elif token.kind not in ("word", "number") and token.text not in (*",*&+-/", "::"):
                return None
            at += 1
            if depth <= 0:
                return at
        return None

    def _type(self) -> str:
        end = self._type_end(self._at)
        if end is None:
            raise not_understood(f"{self._peek().text!r:.40} where a type belongs", self._line())
        text = spelled(self._tokens[self._at : end])
        self._at = end
        return text

    # --- statements

    def statements(self) -> tuple[Statement, ...]:
        """Everything that is left."""
        found: list[Statement] = []
        while self._peek() is not _END:
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

    def _in_parentheses(self) -> Node:
        self._expect("(")
        node = self.expression()
        self._expect(")")
        return node

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

    # --- expressions

    def expression(self) -> Node:
        """An expression with its assignment, if it is one."""
        self._deeper(1)
        line, target = self._line(), self._choice()
        if self._peek().text in _ASSIGNMENTS and self._peek().kind == "sign":
            operator = self._next().text
            target = Assignment(line, target, operator.removesuffix("="), self.expression())
        self._deeper(-1)
        return target

    def _choice(self) -> Node:
        line, condition = self._line(), self._binary(0)
        if not self._take("?"):
            return condition
        yes = self.expression()
        self._expect(":")
        return Choice(line, condition, yes, self.expression())

    def _binary(self, level: int) -> Node:
        left = self._unary()
        while self._peek().kind == "sign" and _PRECEDENCE.get(self._peek().text, -1) >= level:
            operator = self._next()
            self._deeper(1)
            right = self._binary(_PRECEDENCE[operator.text] + 1)
            self._deeper(-1)
            left = Binary(operator.line, operator.text, left, right)
        return left

    def _unary(self) -> Node:
        token = self._peek()
        if token.kind == "sign" and token.text in ("-", "+", "!", "~", "&", "*", "++", "--"):
            self._at += 1
            self._deeper(1)
            operand = self._unary()
            self._deeper(-1)
            if token.text in ("++", "--"):
                return Assignment(token.line, operand, token.text[0], Literal(token.line, 1))
            return Unary(token.line, token.text, operand)
        if self._is("(") and self._is_cast():
            self._at += 1
            text = self._type()
            self._expect(")")
            self._deeper(1)
            operand = self._unary()
            self._deeper(-1)
            return Cast(token.line, text, operand)
        return self._postfix(self._primary())

    def _is_cast(self) -> bool:
        """Whether the parenthesis holds a type: a built-in one, or one that ends in `*`."""
        end = self._type_end(self._at + 1)
        if end is None or self._tokens[end : end + 1] == [] or self._tokens[end].text != ")":
            return False
        words = [token.text for token in self._tokens[self._at + 1 : end] if token.text not in _BEFORE_TYPES]
        return words[0] in _TYPE_WORDS or words[-1] == "*"

    def _primary(self) -> Node:
        token = self._next()
        if token.kind == "number":
            return number(token.text, token.line)
        if token.kind == "string":
            return self._string(token)
        if token.text == "(":
            node = self.expression()
            self._expect(")")
            return node
        if token.text == "{":
            return Items(token.line, self._arguments("}"))
        if token.text == "[":
            return self._lambda(token.line)
        if token.text == "::" and self._peek().kind == "word":
            token = self._next()
        if token.kind != "word":
            raise not_understood(f"{token.text!r:.40} in an expression", token.line)
        return self._named(token)

    def _string(self, token: Token) -> Literal:
        text = ""
        self._at -= 1
        while self._peek().kind == "string":
            literal = self._next().text
            with suppress(ValueError, SyntaxError):
                text += str(ast.literal_eval(literal[literal.index('"') :]))
        return Literal(token.line, text)

    def _named(self, token: Token) -> Node:
        """What begins with a word: a constant, a cast, a type, or a name that may be qualified."""
        line = token.line
        if token.text in ("true", "false"):
            return Literal(line, token.text == "true")
        if token.text in ("nullptr", "NULL"):
            return Literal(line, None)
        if token.text in _CASTS:
            self._expect("<")
            text = self._type()
            self._expect(">")
            return Cast(line, text, self._in_parentheses())
        if token.text == "sizeof":
            return self._size_of(line)
        name = token.text
        while name in ("unsigned", "long", "signed", "short") and self._peek().text in _TYPE_WORDS:
            name += f" {self._next().text}"
        while self._is("::") and self._peek(1).kind == "word":
            self._at += 1
            name += f"::{self._next().text}"
        return Name(line, name)

    def _size_of(self, line: int) -> Node:
        self._expect("(")
        text = self._type()
        self._expect(")")
        return SizeOf(line, text)

    def _postfix(self, node: Node) -> Node:
        links = 0
        while True:
            links += 1
            if links > 4 * _MAX_DEPTH:
                raise not_understood("a chain of too many calls", self._line())
            line = self._line()
            if self._take(".", "->"):
                self._take("template")
                node = Member(line, node, self._next().text)
            elif self._take("["):
                node = Index(line, node, self.expression())
                self._expect("]")
            elif self._is("(", "<", "<<<", "{"):
                called = self._called(node, line)
                if called is None:
                    return node
                node = called
            elif self._take("++", "--"):
                node = Assignment(line, node, self._peek(-1).text[0], Literal(line, 1))
            else:
                return node

    def _called(self, node: Node, line: int) -> Node | None:
        """A call or a launch, with template arguments if there are any; None for a comparison."""
        begin = self._at
        template: tuple[str, ...] = ()
        if self._is("<"):
            end = self._template_end(self._at)
            if (
                end is None
                or end >= len(self._tokens)
                or self._tokens[end].text not in ("(", "<<<", "{", "::")
            ):
                return None
            template = self._template_arguments(self._tokens[self._at + 1 : end - 1])
            self._at = end
            if self._take("::"):
                node = Name(line, f"{spelled(self._tokens[begin - 1 : end])}::{self._next().text}")
                return self._called(node, line) if self._is("(") else node
        if self._take("<<<"):
            return self._launch(node, template, line)
        if self._take("("):
            return Call(line, node, self._arguments(")"), template=template)
        if self._is("{") and isinstance(node, Name) and (template or node.text.split("::")[-1] in _BRACED):
            self._at += 1
            return Call(line, node, (Items(line, self._arguments("}")),), template=template)
        return None

    def _template_arguments(self, tokens: list[Token]) -> tuple[str, ...]:
        parts: list[list[Token]] = [[]]
        depth = 0
        for token in tokens:
            depth += (token.text in ("<", "(")) - (token.text in (">", ")"))
            if token.text == "," and depth == 0:
                parts.append([])
            else:
                parts[-1].append(token)
        return tuple(spelled(part) for part in parts if part)

    def _launch(self, node: Node, template: tuple[str, ...], line: int) -> KernelLaunch:
        configuration = self._arguments(">>>")
        self._expect("(")
        if not isinstance(node, Name):
            raise not_understood("a launch of what is no name", line)
        return KernelLaunch(line, node.text, template, configuration, self._arguments(")"))

    def _arguments(self, end: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self._take(end):
            found.append(self.expression())
            if not self._is(end):
                self._expect(",")
        return tuple(found)

    def _lambda(self, line: int) -> Lambda:
        while not self._take("]"):
            self._next()
        parameters: list[str] = []
        if self._take("("):
            while not self._take(")"):
                token = self._next()
                if self._is(",", ")"):
                    parameters.append(token.text)
        while not self._take("{"):  # mutable, noexcept, -> type
            self._next()
        return Lambda(line, tuple(parameters), self._block())


def _chain(line: int, cases: list[tuple[Node | None, tuple[Statement, ...]]]) -> tuple[Statement, ...]:
    """The cases of a `switch`, the default one last wherever it stands."""
    chain = next((body for condition, body in cases if condition is None), ())
    for condition, body in reversed(cases):
        if condition is not None:
            chain = (If(line, condition, body, chain),)
    return chain


_BRACED = frozenset(["dim3", "vector", "IntArrayRef", "tuple", "pair", "array"])


def parameters(tokens: list[Token]) -> tuple[Parameter, ...]:
    """The parameters of a host function, from the tokens between its parentheses."""
    found: list[Parameter] = []
    begin = 0
    depth = 0
    for at, token in enumerate([*tokens, _END]):
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
