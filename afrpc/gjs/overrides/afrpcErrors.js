// SPDX-License-Identifier: LGPL-2.1-or-later
/* exported addDetails, addOrigin, describe, setHidden, takeOrigin */

// Exceptions of workers as text, and back: the first line is name and message, what follows is the stack; then the same
// of what it is caused by, and of what it consists of, each behind the way to it:
//
//     AggregateError: both are shut
//     run@file:///home/me/doors.js:7:15
//     errors[0]: Error: it is locked
//     run@file:///home/me/doors.js:5:9
//     errors[0].cause: TypeError: no key
//     errors[1]: Error: it is barred
const {GLib} = imports.gi;

const DOMAIN = 'javascript-exception'; // as the message of Afrpc.Error.REMOTE names it
const PYTHON_DETAILS = /^([^\n]*python-exception -\d+: [^]*)\n\n\{[^]*$/; // see afrpc_error_dup_message()
const STACK_MAX = 4096; // characters of one
const SECTIONS_MAX = 100; // exceptions in one
const VALUE_MAX = 1000; // characters of what is no exception

const ORIGINS_MAX = 100; // that are taken in a tenth of a second, since each costs as much as a third of a call
const TENTH_MS = 100;

const LABEL = /^((?:cause|errors\[\d+\])(?:\.cause|\.errors\[\d+\])*)(: | = )/;
const FRAME = /^(?:\S.*)?@.*:\d+:\d+$/;
const OWN_FRAME = `@${new Error().fileName.replace(/[^/]*$/, '')}`;
const CLASSES = {Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, InternalError};

function isSpecial(line) {
    return LABEL.test(line) || FRAME.test(line);
}

// No line of a message looks like one of the others.
function escapeMessage(message) {
    const [first, ...lines] = String(message).split('\n');

    return [first, ...lines.map(line => isSpecial(line.trimStart()) ? ` ${line}` : line)].join('\n');
}

function unescapeLine(line) {
    return line.startsWith(' ') && isSpecial(line.trimStart()) ? line.slice(1) : line;
}

// @getStack: gives the lines of an exception's stack that are worth to be seen
function describeError(error, getStack) {
    if (error instanceof GLib.Error)
        return `GLib.Error: ${GLib.quark_to_string(error.domain)} ${error.code}: ${escapeMessage(error.message)}`;

    const stack = error instanceof SyntaxError
        ? `@${error.fileName}:${error.lineNumber}:${error.columnNumber}` : getStack(error).slice(0, STACK_MAX);
    return `${error.name}: ${escapeMessage(error.message)}\n${stack}`.trimEnd();
}

function describeValue(value) {
    try {
        return (JSON.stringify(value) ?? String(value)).slice(0, VALUE_MAX);
    } catch {
        return `"${typeof value}"`;
    }
}

// An exception, which need not be an Error, with all that belongs to it.
function describe(exception, getStack) {
    const sections = [];
    const seen = new Set();

    function visit(error, path) {
        const isError = error instanceof Error || error instanceof GLib.Error;

        if (seen.has(error) || sections.length >= SECTIONS_MAX)
            return;
        if (path === '')
            sections.push(describeError(error, getStack));
        else
            sections.push(isError ? `${path}: ${describeError(error, getStack)}` : `${path} = ${describeValue(error)}`);
        if (!isError)
            return;

        seen.add(error);
        const prefix = path === '' ? '' : `${path}.`;
        if (Array.isArray(error.errors))
            error.errors.forEach((inner, i) => visit(inner, `${prefix}errors[${i}]`));
        if (error.cause !== undefined)
            visit(error.cause, `${prefix}cause`);
    }

    if (!(exception instanceof Error))
        return `${typeof exception} thrown: ${String(exception)}`;
    visit(exception, '');

    return sections.join('\n');
}

function parseSections(text) {
    const sections = [];

    for (const line of text.split('\n')) {
        const label = sections.length > 0 ? LABEL.exec(line) : null;

        if (label !== null && sections.length < SECTIONS_MAX)
            sections.push({path: label[1], isValue: label[2] === ' = ', lines: [line.slice(label[0].length)]});
        else if (sections.length === 0)
            sections.push({path: '', isValue: false, lines: [line]});
        else
            sections[sections.length - 1].lines.push(line);
    }

    return sections;
}

function parseError(lines) {
    let nMessage = lines.length;
    while (nMessage > 1 && FRAME.test(lines[nMessage - 1]))
        nMessage--;
    const [, name = 'Error', first] = /^(?:([\w$.]+):(?: |$))?(.*)$/.exec(lines[0]);

    return {
        name,
        message: [first, ...lines.slice(1, nMessage).map(unescapeLine)].join('\n'),
        stack: lines.slice(nMessage).join('\n'),
    };
}

function rebuildError(lines) {
    const {name, message, stack} = parseError(lines);

    if (name === 'GLib.Error') {
        const [, domain, code, text] = /^(\S+) (-?\d+): ([^]*)$/.exec(message) ?? [];
        // Not to be made for it: it would stay for ever.
        const quark = domain !== undefined ? GLib.quark_try_string(domain) : 0;

        if (quark !== 0)
            return new GLib.Error(quark, Number(code), text);
    }

    const klass = Object.hasOwn(CLASSES, name) ? CLASSES[name] : Error;
    const error = name === 'AggregateError' ? new AggregateError([], message) : new klass(message);
    if (error.name !== name)
        setHidden(error, 'name', name);
    setHidden(error, 'stack', stack);

    return error;
}

function rebuildValue(lines) {
    const text = lines.join('\n');

    try {
        return JSON.parse(text);
    } catch {
        return text;
    }
}

function setHidden(object, name, value) {
    return Object.defineProperty(object, name, {value, configurable: true, enumerable: false, writable: true});
}

function attach(parent, label, value) {
    const index = /^errors\[(\d+)\]$/.exec(label)?.[1];

    if (index === undefined) {
        setHidden(parent, 'cause', value);
        return;
    }
    if (!Array.isArray(parent.errors))
        setHidden(parent, 'errors', []);
    // As many as come, whatever they are said to be.
    parent.errors.push(value);
}

// What only programs in Python read of an exception of theirs is not in its message.
function hideDetails(error) {
    const message = PYTHON_DETAILS.exec(error.message)?.[1];

    if (message === undefined)
        return error;

    const text = String(error).replace(error.message, () => message);
    setHidden(error, 'message', message);
    setHidden(error, 'toString', () => text);

    return error;
}

// What a worker in JavaScript has thrown, in the error that has come of it: message, name, cause and errors. What is below
// the object keeps its words: whoever it is passed on to finds the same in them.
function addDetails(error) {
    const prefix = `${DOMAIN} 0: `;

    if (!(error instanceof GLib.Error))
        return error;
    if (!error.message.startsWith(prefix))
        return hideDetails(error);

    const message = error.message.slice(prefix.length);
    const text = String(error).replace(prefix, '');
    const [top, ...sections] = parseSections(message);
    const found = new Map([['', error]]);
    setHidden(error, 'message', message);
    setHidden(error, 'toString', () => text);
    setHidden(error, 'name', parseError(top.lines).name);
    for (const {path, isValue, lines} of sections) {
        const end = path.lastIndexOf('.');
        const parent = found.get(path.slice(0, Math.max(end, 0)));

        if (parent === undefined)
            continue;
        const value = isValue ? rebuildValue(lines) : rebuildError(lines);
        attach(parent, path.slice(end + 1), value);
        if (!isValue)
            found.set(path, value);
    }

    return error;
}

let originsSince = 0;
let nOrigins = 0;

// Where something is called, for its error; null if very much is.
function takeOrigin() {
    const passed = Date.now() - originsSince;

    if (passed >= TENTH_MS || passed < 0) {
        originsSince += passed;
        nOrigins = 0;
    }
    if (nOrigins >= ORIGINS_MAX)
        return null;
    nOrigins++;

    return new Error();
}

// Has the error of a call say where that was made, as errors of Gio's promises do.
// @origin: (nullable)
function addOrigin(error, origin) {
    if (origin === null || !(error instanceof GLib.Error))
        return error;

    const frames = origin.stack.split('\n');
    const first = frames.findIndex(frame => !frame.includes(OWN_FRAME));
    error.stack = `${error.stack.trimEnd()}\n### Promise created here: ###\n${frames.slice(first).join('\n')}`;

    return error;
}
