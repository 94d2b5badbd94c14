package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/bench/ent"
)

func flushMany(ctx context.Context, j job, m *meter) error {
	return flush(j, m, func(a *application) (int, error) {
		return a.Event.FlushMany(ctx, entsignal.Burst(j.Burst), entsignal.Workers(j.Parallel))
	})
}

func flushOrdered(ctx context.Context, j job, m *meter) error {
	return flush(j, m, func(a *application) (int, error) {
		return a.Event.FlushOrdered(ctx, entsignal.Burst(j.Burst))
	})
}

// flush measures a flush to the broker, with the connects.
func flush(j job, m *meter, flush func(*application) (int, error), opts ...entsignal.BusOption) error {
	if err := m.start(); err != nil {
		return err
	}
	a, err := open(j, j.Parallel, opts...)
	if err != nil {
		return err
	}
	n, err := flush(a)
	if err != nil {
		return errors.Join(err, a.close())
	}
	if err := m.stop(n); err != nil {
		return errors.Join(err, a.close())
	}
	return a.close()
}

// flushToNothing measures FlushMany without a broker.
func flushToNothing(ctx context.Context, j job, m *meter) error {
	return drain(j, m, func(a *application) (int, error) { return a.Event.FlushMany(ctx, entsignal.Burst(j.Burst)) })
}

// flushListedToNothing does the same with Flush.
func flushListedToNothing(ctx context.Context, j job, m *meter) error {
	return drain(j, m, func(a *application) (int, error) {
		return a.Event.Flush(ctx, entsignal.Burst(j.Burst), entsignal.Wait(0))
	})
}

// flushRankedToNothing does the same with FlushOrdered and an order of its own.
func flushRankedToNothing(ctx context.Context, j job, m *meter) error {
	return drain(j, m, func(a *application) (int, error) { return a.Ranked.FlushOrdered(ctx, entsignal.Burst(j.Burst)) })
}

// flushMovedToNothing does the same with FlushOrdered and a key.
func flushMovedToNothing(ctx context.Context, j job, m *meter) error {
	return drain(j, m, func(a *application) (int, error) {
		return a.Moved.FlushOrdered(ctx, entsignal.Burst(j.Burst), entsignal.Workers(j.Parallel))
	})
}

// arrivals are when senders that do nothing were called, and how many rows they had
// got by then.
type arrivals struct {
	mu   sync.Mutex
	at   []time.Time
	rows []int
}

// nothing returns a sender that does nothing but look at the clock.
func nothing[T any](a *arrivals) entsignal.Sender[T] {
	return func(_ context.Context, signals []T) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		last := 0
		if n := len(a.rows); n > 0 {
			last = a.rows[n-1]
		}
		a.at, a.rows = append(a.at, time.Now()), append(a.rows, last+len(signals))
		return nil
	}
}

// drain measures a flush with a sender that does nothing.
func drain(j job, m *meter, flush func(*application) (int, error)) error {
	if err := m.start(); err != nil {
		return err
	}
	began := time.Now()
	var to arrivals
	a, err := openWith(j, nil, ent.SignalSenders{Event: nothing[*ent.Event](&to), Ranked: nothing[*ent.Ranked](&to), Moved: nothing[*ent.Moved](&to)})
	if err != nil {
		return err
	}
	n, err := flush(a)
	if err != nil {
		return errors.Join(err, a.close())
	}
	if err := m.stop(n); err != nil {
		return errors.Join(err, a.close())
	}
	if err := to.tenths(&m.figure); err != nil {
		return errors.Join(err, a.close())
	}
	m.figure.Start = to.at[0].Sub(began)
	return a.close()
}

// tenths sets what a row took in the first and in the last tenth, counted from one
// call of the sender to the next.
func (a *arrivals) tenths(f *Figure) error {
	last := len(a.at) - 1
	if last < 1 {
		return fmt.Errorf("only %d batches", len(a.at))
	}
	tenth := max(last/10, 1)
	each := func(from, to int) time.Duration {
		return a.at[to].Sub(a.at[from]) / time.Duration(a.rows[to]-a.rows[from])
	}
	f.First, f.Last = each(0, tenth), each(last-tenth, last)
	return nil
}
