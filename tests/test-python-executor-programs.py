#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Executors and the programs that have them: how these begin, end and fork; and joblib, of which one is a backend."""
import concurrent.futures
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import textwrap
import unittest

PATIENCE = 60  # seconds until what should have come is said to hang


def square(x):
    return x * x


def get_pid(*args):
    return os.getpid()


def fail(*args):
    raise ValueError("on purpose")


def crash(*args):
    os.kill(os.getpid(), signal.SIGKILL)


class Programs(unittest.TestCase):
    """What depends on how a program begins and ends."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def run_program(self, text, *before, name="program.py", args=None, input=None):
        path = pathlib.Path(self.folder, name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
        for other, content in before:
            pathlib.Path(self.folder, other).write_text(textwrap.dedent(content))
        return subprocess.run([sys.executable, *(args or [str(path)])], cwd=self.folder, capture_output=True, text=True,
                              input=input, timeout=PATIENCE)

    def check(self, done, output, status=0):
        self.assertEqual((done.stdout, done.returncode), (output, status), done.stderr)
        return done.stderr

    def test_main(self):
        self.check(self.run_program("""
            import sys
            from afrpc import Executor
            import beside
            class Own:
                def __init__(self, n): self.n = n
            def make(n): return Own(n + beside.ONE), __name__, sys.argv[1:], sys.path[0]
            if __name__ == "__main__":
                with Executor() as executor:
                    own, name, argv, folder = executor.submit(make, 1).result()
                print(type(own) is Own, own.n, name, argv, folder == sys.path[0])
            """, ("beside.py", "ONE = 1"), args=["program.py", "a"]), "True 2 __afrpc_main__ ['a'] True\n")

    def test_module(self):
        self.check(self.run_program("""
            from afrpc import Executor
            from . import other
            def run(n): return n + other.ONE, __package__
            if __name__ == "__main__":
                print(Executor().submit(run, 1).result())
            """, ("package/__init__.py", ""), ("package/other.py", "ONE = 1"), name="package/program.py",
            args=["-m", "package.program"]), "(2, 'package')\n")

    def test_no_file(self):
        for args, text in (["-c", "{}"], None), (["-"], "{}"):
            code = "from afrpc import Executor; print(Executor().submit(pow, 2, 3).result())\n"
            self.check(self.run_program("", args=[arg.format(code) for arg in args], input=text and code), "8\n")

    def test_main_that_cannot_be_loaded(self):
        """What is of it is not found, and it is said why."""
        code = textwrap.dedent("""
            from afrpc import Executor
            def run(n): pass
            executor = Executor(max_workers=1)
            for error in executor.submit(run, 1).exception(), executor.submit(pow, 1, run).exception():
                print(type(error).__name__, error.__notes__)
            for options in {}, {"buffersize": 1}:
                try:
                    print(list(executor.map(run, [1], **options)))
                except AttributeError as error:
                    print(error.__notes__)
            error = Executor(max_workers=1, initializer=run).submit(pow, 2, 3).exception().__cause__
            print(type(error).__name__, error.__notes__)
            try:
                executor.submit(getattr, 1, "__main__").result()
            except AttributeError as error:
                print(hasattr(error, "__notes__"))
            """)
        notes = "['workers cannot load the main module of this program, which has no file, or is the __main__.py of a " \
            "package: put what they need into another module, and import that']\n"
        for args, text in (["-c", code], None), (["-"], code), (["-m", "package"], None):
            self.check(self.run_program(code, ("package/__init__.py", ""), name="package/__main__.py", args=args, input=text),
                       f"AttributeError {notes}" * 2 + notes * 2 + f"AttributeError {notes}False\n")

    def test_main_fails(self):
        self.check(self.run_program("""
            import os
            from afrpc import Executor
            def run(): pass
            if __name__ != "__main__":
                raise KeyError("not here")
            text = str(Executor().submit(run).exception())
            print(text[:29], "KeyError: 'not here'" in text)
            """), "no worker can be started: the True\n")

    def test_main_without_condition(self):
        """It would be run by its workers, and those by theirs."""
        self.check(self.run_program("""
            from afrpc import Executor
            executor = Executor(max_workers=1)
            text = str(executor.submit(pow, 2, 3).exception())
            if __name__ == "__main__":
                print("no worker can be started: " in text, "has to come after 'if __name__ ==" in text)
            """), "True True\n")

    def test_without_folder(self):
        self.check(self.run_program("""
            import os, sys
            if __name__ == "__main__":
                from afrpc import Executor
                os.mkdir("gone")
                os.chdir("gone")
                os.rmdir("../gone")
                print(Executor(max_workers=1).submit(pow, 2, 3).result())
            """), "8\n")

    def test_failure_is_not_kept(self):
        """What failed is tried again by the next executor."""
        self.check(self.run_program("""
            import os
            from afrpc import Executor
            if __name__ != "__main__" and not os.path.exists("ready"):
                raise ValueError
            if __name__ == "__main__":
                print(type(Executor(max_workers=1).submit(pow, 2, 3).exception()).__name__)
                open("ready", "w").close()
                print(Executor(max_workers=1).submit(pow, 2, 3).result())
            """), "BrokenPool\n8\n")

    def test_main_with_threads(self):
        """It cannot be forked then: workers load it themselves."""
        self.check(self.run_program("""
            import threading
            from afrpc import Executor
            stop = threading.Event()
            thread = threading.Thread(target=stop.wait, daemon=True)
            thread.start()
            def run(n): return n + 1
            if __name__ == "__main__":
                with Executor(max_workers=2) as executor:
                    print(sum(executor.map(run, range(100))), executor.submit(run, 1).result())
            """), "5050 2\n")

    def test_begin_again(self):
        """What had been given to workers that cannot be forked is given to others, in order; and if there are none of those
        either, everything fails, with what has not been given."""
        said = self.check(self.run_program("""
            import threading
            from afrpc import Executor
            stop = threading.Event()
            thread = threading.Thread(target=stop.wait, daemon=True)
            thread.start()
            started = []
            def run(n):
                started.append(n)
                return started
            def refuse(): raise OSError("on purpose")
            if __name__ == "__main__":
                for i in range(8):
                    with Executor(max_workers=1) as executor:
                        executor._core.loop.main_has_threads = False
                        futures = [executor.submit(run, n) for n in range(4)]
                        if futures[-1].result() != [0, 1, 2, 3]: print(futures[-1].result())
                executor = Executor(max_workers=1)
                core = executor._core
                core.loop.main_has_threads = False
                def make_pool():
                    del core.make_pool
                    core.make_pool()
                    core.make_pool = refuse
                core.make_pool = make_pool
                futures = [executor.submit(run, n) for n in range(100)]
                mapped = executor.map(run, range(1000), chunksize=1)
                print(*{str(future.exception(20)) for future in futures})
                try: list(mapped)
                except Exception as error: print(type(error).__name__)
                executor.shutdown()
            """), "no worker can be started: OSError('on purpose')\nBrokenPool\n")
        self.assertNotIn("Exception ignored", said)

    def test_template_stays(self):
        """Five seconds after the last executor, for another one, and no longer."""
        self.check(self.run_program("""
            import time
            from afrpc import Executor, _loop
            from gi.repository import GLib
            LIMIT = 5000000
            soon, is_due_in_time = _loop.Loop.forget_template_soon, []
            def forget_template_soon(self):
                if self._forgetting is not None: return  # already
                before = GLib.get_monotonic_time()
                soon(self)
                due, after = self._forgetting.get_ready_time(), GLib.get_monotonic_time()
                is_due_in_time.append(before <= due - LIMIT <= after)
            _loop.Loop.forget_template_soon = forget_template_soon
            def use():
                with Executor(max_workers=1) as executor:
                    executor.submit(pow, 2, 3).result()
                    template = executor._core.loop._template
                return template, executor._core.loop._forgetting
            if __name__ == "__main__":
                (first, forgetting), (second, last) = use(), use()
                print(second is first, forgetting.is_destroyed(), last.is_destroyed())
                last.set_ready_time(0)
                end = time.monotonic() + 20
                while not last.is_destroyed() and time.monotonic() < end: time.sleep(0.001)
                print(use()[0] is first, is_due_in_time)
            """), "True True False\nFalse [True, True, True]\n")

    def test_exit(self):
        """What was submitted is done, whoever waits for it."""
        text = """
            import sys, time
            from afrpc import Executor
            def tell(word): print(word, flush=True)
            if __name__ == "__main__":
                executor = Executor(max_workers=1)
                for word in "abc": executor.submit(tell, word)
                executor.map(tell, "def", chunksize=1)
                """
        self.check(self.run_program(text), "a\nb\nc\nd\ne\nf\n")
        self.check(self.run_program(text + "sys.exit(3)"), "a\nb\nc\nd\ne\nf\n", 3)
        self.assertIn("ZeroDivisionError", self.check(self.run_program(text + "1 / 0"), "a\nb\nc\nd\ne\nf\n", 1))
        self.check(self.run_program(text + "executor.shutdown(wait=False)"), "a\nb\nc\nd\ne\nf\n")

    def test_after_exit(self):
        error = self.check(self.run_program("""
            import atexit
            from afrpc import Executor
            if __name__ == "__main__":
                executor = Executor(max_workers=1)
                print(executor.submit(pow, 2, 3).result())
                @atexit.register
                def late():
                    for function in lambda: executor.submit(pow, 2, 3), Executor:
                        try: function()
                        except RuntimeError as error: print(error)
            """), "8\ncannot schedule new futures after shutdown\ncannot schedule new futures after interpreter shutdown\n")
        self.assertEqual(error, "")

    def test_submit_at_exit(self):
        """What is submitted at that moment is done."""
        self.check(self.run_program("""
            import threading, time
            from afrpc import Executor
            is_checked = threading.Event()
            def check_slowly():
                check()
                is_checked.set()
                time.sleep(0.3)
            def submit():
                print(executor.submit(pow, 2, 3).result(5))
            if __name__ == "__main__":
                executor = Executor(max_workers=1)
                check = executor._core.check
                executor._core.check = check_slowly
                threading.Thread(target=submit).start()
                is_checked.wait()
            """), "8\n")

    def test_executor_at_exit(self):
        """What is made at that moment is refused, or takes what is submitted."""
        self.check(self.run_program("""
            import threading, time
            from afrpc import Executor
            is_there = threading.Event()
            def get_loop_slowly():
                loop = get_loop()
                is_there.set()
                time.sleep(0.3)
                return loop
            def make():
                try:
                    print(Executor(max_workers=1).submit(pow, 2, 3).result(5))
                except RuntimeError as error:
                    print(error)
            if __name__ == "__main__":
                print(Executor(max_workers=1).submit(pow, 2, 2).result())
                from afrpc import _loop
                get_loop, _loop.get_loop = _loop.get_loop, get_loop_slowly
                threading.Thread(target=make).start()
                is_there.wait()
            """), "4\ncannot schedule new futures after interpreter shutdown\n")

    def test_interrupted(self):
        """Waiting can be interrupted."""
        self.check(self.run_program("""
            import os, signal, threading, time
            from afrpc import Executor
            if __name__ == "__main__":
                executor = Executor(max_workers=1)
                future = executor.submit(time.sleep, 60)
                while not future.running(): time.sleep(0.001)
                try:
                    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
                    future.result()
                except KeyboardInterrupt: print("interrupted")
                executor.kill_workers()
            """), "interrupted\n")

    def test_interrupt_of_group(self):
        """Ctrl-C ends workers, as their exit says, unless they ignore it: then what runs has its result."""
        self.check(self.run_program("""
            import os, signal, tempfile, time
            from afrpc import Executor
            def hold(path):
                open(path, "w").close()
                time.sleep(0.5)
                return "done"
            def run(**keywords):
                path = os.path.join(tempfile.mkdtemp(), "begun")
                executor = Executor(max_workers=1, **keywords)
                future, late = executor.submit(hold, path), [executor.submit(pow, 2, 3) for i in range(10)][-1]
                try:
                    while not os.path.exists(path): time.sleep(0.001)
                    os.killpg(0, signal.SIGINT)
                    time.sleep(60)
                except KeyboardInterrupt: executor.shutdown(cancel_futures=True)
                error = future.exception()
                print(late.cancelled(), future.result() if error is None else
                      (type(error).__name__, type(error.__cause__).__name__, error.__cause__.exit.get_signal() == signal.SIGINT))
                os.unlink(path); os.rmdir(os.path.dirname(path))
            if __name__ == "__main__":
                os.setpgid(0, 0)
                run()
                run(initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
            """), "True ('WorkerLost', 'WorkerDied', True)\nTrue done\n")

    def test_fork(self):
        """In a child, executors of the program are refused, and those of its own work; the program's go on."""
        self.check(self.run_program("""
            import os, sys, time
            from afrpc import Executor
            if __name__ == "__main__":
                executor = Executor(max_workers=1)
                future = executor.submit(time.sleep, 0.2)
                pid = os.fork()
                if pid == 0:
                    for function in lambda: executor.submit(pow, 2, 3), lambda: executor.map(abs, [1]), future.result:
                        try: function()
                        except RuntimeError as error: print(error, flush=True)
                    executor.shutdown()
                    with Executor(max_workers=1) as own:
                        print(own.submit(pow, 2, 3).result(), flush=True)
                    sys.exit(0)
                print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), future.result(), executor.submit(pow, 2, 5).result())
            """), "this executor belongs to the process that this one was forked from: make another one here\n" * 2 +
            "a future of the process that this one was forked from: nobody settles it here\n8\n0 None 32\n")

    def test_modules(self):
        """Workers stay small."""
        self.check(self.run_program("""
            import sys
            from afrpc import Executor
            def run():
                return [name for name in ("gi", "afrpc._proxy", "asyncio", "multiprocessing", "signal") if name in sys.modules]
            if __name__ == "__main__":
                print(Executor(max_workers=1).submit(run).result())
            """), "[]\n")


class Joblib(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            import joblib
        except ImportError:
            raise unittest.SkipTest("there is no joblib") from None
        import afrpc.joblib  # noqa: F401
        cls.joblib = joblib

    def test_calls(self):
        Parallel, delayed = self.joblib.Parallel, self.joblib.delayed
        with self.joblib.parallel_backend("afrpc", n_jobs=2):
            self.assertEqual(Parallel()(delayed(square)(i) for i in range(1000)), [i * i for i in range(1000)])
            self.assertEqual(Parallel()(delayed(lambda x: x + 1)(i) for i in range(10)), list(range(1, 11)))
            self.assertNotIn(os.getpid(), Parallel()(delayed(get_pid)() for i in range(10)))
            with Parallel() as parallel:
                for n in range(3):
                    self.assertEqual(parallel(delayed(square)(i) for i in range(n)), [i * i for i in range(n)])
            with self.assertRaises(ValueError):
                Parallel()(delayed(fail)(i) for i in range(10))
            with self.assertRaises(concurrent.futures.BrokenExecutor):
                Parallel()(delayed(crash)(i) for i in range(10))
            self.assertEqual(Parallel()(delayed(square)(i) for i in range(10)), [i * i for i in range(10)])
        with self.joblib.parallel_backend("afrpc", n_jobs=1):
            self.assertEqual(Parallel()(delayed(get_pid)() for i in range(2)), [os.getpid()] * 2)


if __name__ == "__main__":
    unittest.main()
