# SPDX-License-Identifier: LGPL-2.1-or-later
"""The backend "afrpc" of joblib: once this has been imported, joblib.parallel_backend ("afrpc") uses it."""
import os

from joblib._parallel_backends import AutoBatchingMixin, FallbackToBackend, ParallelBackendBase, SequentialBackend
from joblib.externals import cloudpickle
from joblib.parallel import register_parallel_backend

from .executor import Executor

__all__ = ["Backend"]


class Backend(AutoBatchingMixin, ParallelBackendBase):
    """Batches of calls in the workers of an Executor. Functions that have no name of their own, such as lambdas, can be
    called, too. Options are those of Executor: initializer, initargs, max_tasks_per_child, log."""

    supports_timeout = True
    supports_retrieve_callback = True
    supports_return_generator = True

    def __init__(self, nesting_level=None, inner_max_num_threads=None, **options):
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads)
        self._options = options
        self._executor = None

    def effective_n_jobs(self, n_jobs):
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        if n_jobs < 0:
            return max(len(os.sched_getaffinity(0)) + 1 + n_jobs, 1)
        return n_jobs

    def configure(self, n_jobs=1, parallel=None, prefer=None, require=None, **for_others):
        n_jobs = self.effective_n_jobs(n_jobs)
        if n_jobs == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        self.parallel = parallel
        self._executor = Executor(max_workers=n_jobs, dumps=cloudpickle.dumps, **self._options)
        return n_jobs

    def submit(self, func, callback=None):
        future = self._executor.submit(func)
        future.get = future.result  # as joblib before 1.4 wants it
        if callback is not None:
            future.add_done_callback(callback)
        return future

    apply_async = submit

    def retrieve_result_callback(self, future):
        return future.result()

    def terminate(self):
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False)
        self.reset_batch_stats()

    def abort_everything(self, ensure_ready=True):
        """What runs is ended: nobody waits for it any more."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.kill_workers()
        if ensure_ready:
            self.configure(n_jobs=self.parallel.n_jobs, parallel=self.parallel)


register_parallel_backend("afrpc", Backend)
