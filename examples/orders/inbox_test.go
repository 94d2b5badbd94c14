package main

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inbox is a running consumer.
type inbox struct {
	*consumer
	cancel  context.CancelFunc
	ended   chan error
	arrived chan struct{} // holds a token when something came

	mu       sync.Mutex
	received map[int]bool
	twice    []int // orders that were handled more than once
	repeats  []amqp.Delivery
}

func startInbox(t *testing.T) *inbox {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	in := &inbox{cancel: cancel, ended: make(chan error, 1), arrived: make(chan struct{}, 1), received: make(map[int]bool)}
	in.consumer = &consumer{log: slog.New(slog.DiscardHandler), handle: in.handle, repeated: in.repeated, seen: make(map[message]bool)}
	go func() { in.ended <- in.run(ctx) }()
	t.Cleanup(cancel)
	return in
}

func (in *inbox) handle(m orderPlaced) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.received[m.OrderID] {
		in.twice = append(in.twice, m.OrderID)
	}
	in.received[m.OrderID] = true
	select {
	case in.arrived <- struct{}{}:
	default:
	}
	return nil
}

func (in *inbox) repeated(d amqp.Delivery) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.repeats = append(in.repeats, d)
}

func (in *inbox) count() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.received)
}

func (in *inbox) awaitCount(t *testing.T, n int) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for in.count() < n {
		select {
		case <-in.arrived:
		case <-timeout:
			require.Failf(t, "messages are missing", "%d of %d have arrived", in.count(), n)
		}
	}
}

// stop ends the consumer when the queue is empty, and returns what it got.
func (in *inbox) stop(t *testing.T) map[int]bool {
	t.Helper()
	require.Eventually(t, func() bool { return queued(t) == 0 }, 2*time.Minute, 50*time.Millisecond)
	in.cancel()
	require.NoError(t, await(t, in.ended, "the end of the consumer"))
	return maps.Clone(in.received)
}

// queued returns how many messages wait in the queue.
func queued(t *testing.T) int {
	conn, err := dial(t.Context())
	if !assert.NoError(t, err) {
		return -1
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if !assert.NoError(t, err) {
		return -1
	}
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if !assert.NoError(t, err) {
		return -1
	}
	return q.Messages
}
