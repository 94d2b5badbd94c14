package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/pqconn"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/integration/bench/ent"
)

// relayed measures from the commit of a signal, in one application without
// autoflush, until a relay in another one has it confirmed by the broker. Commits
// come at the job's rate.
func relayed(ctx context.Context, j job, m *meter) error {
	var (
		l    = latencies{committed: make(map[int]time.Time), all: make(chan struct{}), want: j.Count}
		opts []entsignal.BusOption
	)
	if j.Woken {
		w, err := pqconn.NewWakeUp(j.DSN)
		if err != nil {
			return err
		}
		defer w.Close()
		opts = append(opts, entsignal.WithWakeUp(w))
	}
	relay, err := openRelay(j, &l, opts...)
	if err != nil {
		return err
	}
	writer, err := openWith(j, nil, refuse(), opts...)
	if err != nil {
		return errors.Join(err, relay.close())
	}
	writer.bus.SetAutoFlush(false)
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- relay.bus.Run(running) }()
	err = l.measure(ctx, j, m, writer, relay)
	stop()
	return errors.Join(err, <-ended, writer.close(), relay.close())
}

// refuse returns the senders of a program that only writes.
func refuse() ent.SignalSenders {
	return ent.SignalSenders{Event: func(context.Context, []*ent.Event) error { return errors.New("the writer sends nothing") }}
}

// openRelay opens the application that sends, and has l told what was sent.
func openRelay(j job, l *latencies, opts ...entsignal.BusOption) (*application, error) {
	pub, err := rabbitmq.NewPublisher(j.AMQP, rabbitmq.WithAppID(appID))
	if err != nil {
		return nil, err
	}
	send := rabbitmq.Sender(pub, func(e *ent.Event) (rabbitmq.Message, error) {
		return rabbitmq.Message{RoutingKey: j.Queue, ContentType: contentType, Body: e.Payload}, nil
	})
	a, err := openWith(j, pub, ent.SignalSenders{Event: func(ctx context.Context, events []*ent.Event) error {
		err := send(ctx, events)
		if err == nil {
			l.sent(events)
		}
		return err
	}}, append(opts, entsignal.WithBurstCount(j.Burst))...)
	if err != nil {
		return nil, errors.Join(err, pub.Close(context.Background()))
	}
	a.bus.SetAutoFlush(false) // else the relay looks once a minute
	return a, nil
}

// latencies are the times from the commits to the confirms.
type latencies struct {
	want int
	all  chan struct{} // closed when so many are known

	mu        sync.Mutex
	committed map[int]time.Time // by the id of the order
	early     map[int]time.Time // sent before the commit has returned
	took      []time.Duration
}

// measure commits at the job's rate, and waits until all is sent.
func (l *latencies) measure(ctx context.Context, j job, m *meter, writer, relay *application) error {
	for state := relay.bus.RunState(); len(state.Loops) == 0 || !state.Begun() || j.Woken && !state.WakeUp.Proven; state = relay.bus.RunState() {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := m.start(); err != nil {
		return err
	}
	body := makeBody(j.Size)
	ticker := time.NewTicker(time.Second / time.Duration(j.Rate))
	defer ticker.Stop()
	for range j.Count {
		<-ticker.C
		id, err := writer.orderOf(ctx, body)
		if err != nil {
			return err
		}
		l.commit(id, time.Now())
	}
	select {
	case <-l.all:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := m.stop(j.Count); err != nil {
		return err
	}
	slices.Sort(l.took)
	m.figure.P50, m.figure.P99 = l.took[len(l.took)/2], l.took[len(l.took)*99/100]
	return nil
}

func (l *latencies) commit(order int, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if sent, ok := l.early[order]; ok {
		l.add(max(sent.Sub(at), 0))
		return
	}
	l.committed[order] = at
}

func (l *latencies) sent(events []*ent.Event) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		at, ok := l.committed[e.OrderID]
		if !ok {
			if l.early == nil {
				l.early = make(map[int]time.Time)
			}
			l.early[e.OrderID] = now
			continue
		}
		l.add(now.Sub(at))
	}
}

func (l *latencies) add(d time.Duration) {
	if l.took = append(l.took, d); len(l.took) == l.want {
		close(l.all)
	}
}

// notified measures transactions that leave their signal pending, beside a process
// that listens: with a wake-up, or without.
func notified(ctx context.Context, j job, m *meter) error {
	var opts []entsignal.BusOption
	if j.Woken {
		w, err := pqconn.NewWakeUp(j.DSN)
		if err != nil {
			return err
		}
		defer w.Close()
		opts = append(opts, entsignal.WithWakeUp(w))
		listening, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = w.Listen(listening, func([]string) {}) // Prove tells what is wrong with it
		}()
		defer func() {
			stop()
			<-ended
		}()
		if err := w.Prove(ctx); err != nil {
			return fmt.Errorf("the wake-up: %w", err)
		}
	}
	a, err := openWith(j, nil, refuse(), opts...)
	if err != nil {
		return err
	}
	a.bus.SetAutoFlush(false)
	body := makeBody(j.Size)
	err = commits(ctx, j, m, func(ctx context.Context) error { return a.order(ctx, body) })
	return errors.Join(err, a.close())
}
