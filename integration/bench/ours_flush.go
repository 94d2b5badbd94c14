package main

import (
	"context"
	"errors"
	"fmt"
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
func flush(j job, m *meter, flush func(*application) (int, error)) error {
	if err := m.start(); err != nil {
		return err
	}
	a, err := open(j, j.Parallel)
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

// flushToNothing measures FlushMany with a sender that does nothing but look at
// the clock: what the library and the database cost without a broker.
func flushToNothing(ctx context.Context, j job, m *meter) error {
	if err := m.start(); err != nil {
		return err
	}
	var at []time.Time
	a, err := openWith(j, nil, func(context.Context, []*ent.Event) error {
		at = append(at, time.Now())
		return nil
	})
	if err != nil {
		return err
	}
	n, err := a.Event.FlushMany(ctx, entsignal.Burst(j.Burst))
	if err != nil {
		return errors.Join(err, a.close())
	}
	if err := m.stop(n); err != nil {
		return errors.Join(err, a.close())
	}
	// Batches are counted from one call of the sender to the next.
	last := len(at) - 1
	if last < 1 {
		return errors.Join(fmt.Errorf("only %d batches", len(at)), a.close())
	}
	tenth := max(last/10, 1)
	rows := time.Duration(tenth * j.Burst)
	m.figure.First, m.figure.Last = at[tenth].Sub(at[0])/rows, at[last].Sub(at[last-tenth])/rows
	return a.close()
}
