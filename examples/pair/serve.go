package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// serve is a bank until ctx ends: it receives what comes, sends again what a crash left
// behind, and sends money every so often, with a line on out.
func serve(ctx context.Context, log *slog.Logger, name string, every time.Duration, out io.Writer) error {
	b, err := open(log, name)
	if err != nil {
		return err
	}
	err = b.serve(ctx, log, every, out)
	return errors.Join(err, b.close())
}

func (b *bank) serve(ctx context.Context, log *slog.Logger, every time.Duration, out io.Writer) error {
	var (
		all                 sync.WaitGroup
		consuming, relaying error
	)
	all.Go(func() { consuming = b.consumer.Run(ctx) })
	all.Go(func() { relaying = b.bus.Run(ctx) })
	if every > 0 {
		all.Go(func() { b.keepSending(ctx, log, every, out) })
	}
	all.Wait()
	return errors.Join(consuming, relaying)
}

// keepSending sends money until ctx ends.
func (b *bank) keepSending(ctx context.Context, log *slog.Logger, every time.Duration, out io.Writer) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		from, toBank, to, cents := 1+rand.IntN(accounts), []string{north, south}[rand.IntN(2)], rand.IntN(accounts+1), 1+rand.IntN(2000)
		// Nobody has account 0: that money comes back.
		err := b.send(context.WithoutCancel(ctx), from, toBank, to, cents)
		switch {
		case err == nil:
			fmt.Fprintf(out, "%s from account %d to account %d of %s\n", money(cents), from, to, toBank)
		case !errors.Is(err, errTooLittle):
			log.Warn("no money sent", "bank", b.name, "error", err)
		}
	}
}
