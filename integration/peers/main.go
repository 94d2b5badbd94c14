// Command peers measures entsignal beside other outboxes on the same work: a backlog
// of messages in PostgreSQL, sent to a classic queue of RabbitMQ with a confirm for
// each. Each program runs in turn, on a database and a queue of its own, and so in each
// round; the medians of the rounds are printed. See make bench-peers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"
)

// A peer is an outbox with settings.
type peer struct {
	name string
	// record fills the peer's tables with the messages of a place.
	record func(ctx context.Context, p *place) error
	// send sends them. It returns when ctx ends, or earlier when it has nothing to do;
	// the clock stops when the queue has them all.
	send func(ctx context.Context, p *place) error
}

func peers() []peer {
	return []peer{
		rawBroker(),
		bus("entsignal FlushMany, no setting", 0, 1),
		bus("entsignal FlushMany, burst 1000", 1000, 1),
		bus("entsignal FlushMany, burst 1000, 2 workers", 1000, 2),
		riverPeer("River, default (100 workers)", 100, false),
		riverPeer("River, 2,000 workers, fetches at once", 2000, true),
		oagudoPeer("oagudo/outbox, default batches", 0),
		oagudoPeer("oagudo/outbox, batches of 1,000", 1000),
		watermillPeer("Watermill forwarder, default batches", 0),
		watermillPeer("Watermill forwarder, batches of 1,000", 1000),
	}
}

// baseline is the peer that ratios are to.
const baseline = "entsignal FlushMany, burst 1000"

func main() {
	count := flag.Int("n", 20_000, "messages of each run")
	size := flag.Int("size", 300, "bytes of a body")
	rounds := flag.Int("rounds", 3, "runs of each program")
	limit := flag.Duration("limit", 2*time.Minute, "longest time of a run")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *rounds, *limit, work{count: *count, size: *size}); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rounds int, limit time.Duration, w work) error {
	all := peers()
	rates := make(map[string][]float64)
	for round := range rounds {
		for _, p := range all {
			took, err := measure(ctx, p, w, limit)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			rate := float64(w.count) / took.Seconds()
			rates[p.name] = append(rates[p.name], rate)
			fmt.Fprintf(os.Stderr, "round %d: %-45s %8.0f messages/s\n", round+1, p.name, rate)
		}
	}
	base := median(rates[baseline])
	fmt.Printf("%d messages of %d bytes, classic queue, median of %d\n\n| program | messages/s | ratio |\n|---|---:|---:|\n", w.count, w.size, rounds)
	for _, p := range all {
		rate := median(rates[p.name])
		fmt.Printf("| %s | %.0f | %.2f |\n", p.name, rate, rate/base)
	}
	return nil
}

// measure returns how long the peer takes until the queue has all messages.
func measure(ctx context.Context, p peer, w work, limit time.Duration) (_ time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	at, err := newPlace(ctx, w)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, at.close()) }()
	if err := p.record(ctx, at); err != nil {
		return 0, fmt.Errorf("record: %w", err)
	}
	if err := at.settle(ctx); err != nil {
		return 0, err
	}
	sending, end := context.WithCancelCause(ctx)
	ended := make(chan error, 1)
	began := time.Now()
	go func() {
		err := p.send(sending, at)
		if err != nil {
			end(err) // there is nothing to wait for
		}
		ended <- err
	}()
	arrived := at.await(sending)
	took := time.Since(began)
	end(nil)
	<-ended // with an error, if it was told to end
	return took, arrived
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
