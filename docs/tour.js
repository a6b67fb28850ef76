// SPDX-License-Identifier: LGPL-2.1-or-later
// What docs/javascript.md shows.
import Afrpc from 'gi://Afrpc?version=1.0';
import Gio from 'gi://Gio';
import GLib from 'gi://GLib';

const [WORKER] = GLib.filename_from_uri(import.meta.url.replace('tour.js', 'tour-worker.js'));

function makeProxy(name, options = {}) {
    const process = Afrpc.Process.new_exec('gjs');
    process.require(WORKER);
    return new Afrpc.Proxy({process, function: name, ...options});
}

async function values() {
    const proxy = makeProxy('describe');

    for (const value of [1, 1n, 2n ** 60n, 'x', true, null, new Uint8Array([1, 2]), [1, 'x'], {a: 1}])
        print(await proxy.invoke(value));
    await proxy.close_async();
}

async function options() {
    const proxy = makeProxy('search');
    proxy.connect('event', (_proxy, event) => print(Afrpc.unpack(event)));

    const found = await proxy.invokeWith({
        signature: '(ss)',
        timeoutMs: 5000,
    }, 'a banana', 'an');
    print(found);

    const onProgress = place => print(`found at ${place}`);
    await proxy.invokeWith({onProgress}, 'a banana', 'na');
    await proxy.close_async();
}

async function cancelling() {
    const proxy = makeProxy('rest', {backend: Afrpc.Backend.ASYNC});
    const cancellable = new Gio.Cancellable();
    const calls = [proxy.invokeWith({cancellable}, 60000), proxy.invoke(1)];

    print(await calls[1]);
    cancellable.cancel();
    try {
        await calls[0];
    } catch (e) {
        if (!e.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED))
            throw e;
        print('cancelled');
    }
    await proxy.close_async();
}

async function errors() {
    const proxy = makeProxy('multiply');

    try {
        await proxy.invoke(2n ** 60n, 0.5);
    } catch (e) {
        print(e instanceof Afrpc.Error, e.code === Afrpc.Error.REMOTE, e.message.split('\n')[0]);
    }
    await proxy.close_async();
}

async function starting() {
    const process = Afrpc.Process.new_exec('gjs');
    process.require(WORKER);
    process.send_arg('Good morning');
    const proxy = new Afrpc.Proxy({process, function: 'greet', init: 'init'});

    print(await proxy.invoke('everybody'));
    await proxy.close_async();
}

async function pooling() {
    const process = Afrpc.Process.new_exec('gjs');
    process.require(WORKER);
    const pool = new Afrpc.Pool({process, function: 'search', max_workers: 2, idle_workers: 1, load: 1});
    pool.connect('event', () => {}); // what search () says of itself

    const texts = ['a banana', 'ananas', 'a pear', 'an apple'];
    const found = await Promise.all(texts.map(text => pool.invoke(text, 'an')));
    print(found.map(places => places.length));
    await pool.close_async();
}

async function main() {
    for (const part of [values, options, cancelling, errors, starting, pooling])
        await part();
}

const loop = new GLib.MainLoop(null, false);

main().catch(logError).finally(() => loop.quit());
loop.run();
