package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// warmUp is how many transactions each writer runs before the clock does, so
// that the pool has its connections.
const warmUp = 5

// commits has the job's writers run its transactions, all of them through
// write, and measures those after the warm-up.
func commits(ctx context.Context, j job, m *meter, write func(context.Context) error) error {
	return commitsUntil(ctx, j, m, write, func() error { return nil })
}

// commitsUntil is commits with a clock that stops after done, which waits for what the
// commits have not.
func commitsUntil(ctx context.Context, j job, m *meter, write func(context.Context) error, done func() error) error {
	warm := min(warmUp*j.Parallel, j.Count/2)
	if err := share(ctx, j.Parallel, warm, write); err != nil {
		return err
	}
	if err := m.start(); err != nil {
		return err
	}
	if err := share(ctx, j.Parallel, j.Count-warm, write); err != nil {
		return err
	}
	if err := done(); err != nil {
		return err
	}
	return m.stop(j.Count - warm)
}

// share runs n transactions, shared by some writers.
func share(ctx context.Context, writers, n int, write func(context.Context) error) error {
	var (
		wg   sync.WaitGroup
		next atomic.Int64
		errs = make([]error, writers)
	)
	for i := range writers {
		wg.Go(func() {
			for next.Add(1) <= int64(n) && errs[i] == nil {
				errs[i] = write(ctx)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
