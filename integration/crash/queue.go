package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// queue is a durable queue and its one consumer, who notes what arrives in the
// order in which it arrives. The way to it is not the one that is cut.
type queue struct {
	name     string
	conn     *amqp.Connection
	ch       *amqp.Channel
	consumer sync.WaitGroup
	markers  chan struct{}

	mu       sync.Mutex
	received []message
	err      error
}

// marker is the type of a message that is none of the run.
const marker = "marker"

func newQueue(t testing.TB, url string) *queue {
	t.Helper()
	conn, err := amqp.Dial(url)
	require.NoError(t, err)
	q := &queue{name: "crash-" + uuid.NewString(), conn: conn, markers: make(chan struct{}, 1)}
	t.Cleanup(func() {
		_ = conn.Close()
		q.consumer.Wait()
	})
	q.ch, err = conn.Channel()
	require.NoError(t, err)
	_, err = q.ch.QueueDeclare(q.name, true, false, false, false, nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := q.ch.QueueDelete(q.name, false, false, false)
		assert.NoError(t, err)
	})
	deliveries, err := q.ch.Consume(q.name, "", true, true, false, false, nil)
	require.NoError(t, err)
	q.consumer.Go(func() { q.consume(deliveries) })
	return q
}

func (q *queue) consume(deliveries <-chan amqp.Delivery) {
	for d := range deliveries {
		if d.Type == marker {
			q.markers <- struct{}{}
			continue
		}
		var m message
		err := json.Unmarshal(d.Body, &m)
		q.mu.Lock()
		if err != nil && q.err == nil {
			q.err = fmt.Errorf("message %q: %w", d.MessageId, err)
		}
		q.received = append(q.received, m)
		q.mu.Unlock()
	}
}

// all returns what has arrived, once everything that is in the queue now has.
func (q *queue) all(ctx context.Context) ([]message, error) {
	if err := q.ch.PublishWithContext(ctx, "", q.name, true, false, amqp.Publishing{Type: marker}); err != nil {
		return nil, err
	}
	select {
	case <-q.markers:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the queue to be empty: %w", ctx.Err())
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.received, q.err
}
