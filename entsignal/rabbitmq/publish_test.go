package rabbitmq

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPublishDeliversAllProperties(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	p := newPublisher(t, brokerURL(t), WithAppID("shop"))
	stamp := time.Unix(1_700_000_000, 0).UTC()
	headers := map[string]any{
		"int": 7, "big": int64(1) << 40, "uint64": uint64(9), "flag": true, "none": nil, "bytes": []byte{1},
		"strings": []string{"a", "b"}, "map": map[string]any{"k": map[string]string{"n": "v"}},
	}

	require.NoError(t, p.Publish(t.Context(),
		Message{
			RoutingKey: queue, MessageID: "id-1", Body: []byte("hello"), ContentType: "text/plain",
			ContentEncoding: "identity", Type: "greeting", CorrelationID: "corr", ReplyTo: "answers", Priority: 3,
			Expiration: 90*time.Second + time.Microsecond, Timestamp: stamp, Headers: headers,
		},
		Message{RoutingKey: queue, AppID: "other", Transient: true},
	))

	got := a.take(queue)
	require.Len(t, got, 2)
	d := got[0]
	assert.Equal(t, "id-1", d.MessageId)
	assert.Equal(t, "shop", d.AppId)
	assert.Equal(t, amqp.Persistent, d.DeliveryMode)
	assert.Equal(t, "hello", string(d.Body))
	assert.Equal(t, []string{"text/plain", "identity", "greeting", "corr", "answers"},
		[]string{d.ContentType, d.ContentEncoding, d.Type, d.CorrelationId, d.ReplyTo})
	assert.EqualValues(t, 3, d.Priority)
	assert.Equal(t, "90001", d.Expiration)
	assert.Equal(t, stamp, d.Timestamp.UTC())
	assert.Equal(t, amqp.Table{
		"int": int32(7), "big": int64(1) << 40, "uint64": int32(9), "flag": true, "none": nil, "bytes": []byte{1},
		"strings": []any{"a", "b"}, "map": amqp.Table{"k": amqp.Table{"n": "v"}},
	}, d.Headers)
	assert.Equal(t, []string{"a", "b"}, headers["strings"], "the caller's map is changed")
	assert.Equal(t, "other", got[1].AppId)
	assert.Equal(t, amqp.Transient, got[1].DeliveryMode)
}

func TestPublishNothingNeedsNoBroker(t *testing.T) {
	t.Parallel()
	p := newPublisher(t, "amqp://127.0.0.1:1")
	require.NoError(t, p.Publish(t.Context()))
}

func TestPublishMoreThanOneWindowInOrder(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	p := newPublisher(t, brokerURL(t))
	msgs := make([]Message, 2*window+7)
	for i := range msgs {
		msgs[i] = to(queue, fmt.Sprint(i))
	}
	require.NoError(t, p.Publish(t.Context(), msgs...))
	ids := a.takeIDs(queue)
	require.Len(t, ids, len(msgs))
	for i, id := range ids {
		require.Equal(t, fmt.Sprint(i), id)
	}
}

func TestUnroutableMessageIsAnErrorUnlessAllowed(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	exchange, queue := a.exchange(false)
	p := newPublisher(t, brokerURL(t))
	errs := failures(t, p.Publish(t.Context(),
		Message{Exchange: exchange, RoutingKey: "k", MessageID: "good"},
		Message{Exchange: exchange, RoutingKey: "nobody", MessageID: "bad"},
		Message{Exchange: exchange, RoutingKey: "nobody", MessageID: "allowed", AllowUnroutable: true},
		Message{Exchange: exchange, RoutingKey: "k", MessageID: "good-2"},
	), 4)
	assert.NoError(t, errs[0])
	assert.ErrorContains(t, errs[1], `message "bad": returned as unroutable: "NO_ROUTE"`)
	assert.ErrorContains(t, errs[1], `routing key "nobody"`)
	assert.NoError(t, errs[2])
	assert.NoError(t, errs[3])
	assert.Equal(t, []string{"good", "good-2"}, a.takeIDs(queue))
}

func TestEveryUnroutableMessageOfAFullWindowIsReturned(t *testing.T) {
	t.Parallel()
	p := newPublisher(t, brokerURL(t))
	msgs := make([]Message, window)
	for i := range msgs {
		msgs[i] = to(unique("missing"), fmt.Sprint(i))
	}
	for i, err := range failures(t, p.Publish(t.Context(), msgs...), window) {
		require.ErrorContains(t, err, "NO_ROUTE", "message %d", i)
	}
}

func TestIdenticalMessagesAreReturnedTogether(t *testing.T) {
	t.Parallel()
	back := returned{{Return: amqp.Return{RoutingKey: "k"}}}
	assert.NotNil(t, back.match(&Message{RoutingKey: "k"}))
	assert.NotNil(t, back.match(&Message{RoutingKey: "k"}), "one of the two is lost, and nobody knows which")
	assert.Nil(t, back.match(&Message{RoutingKey: "k", AllowUnroutable: true}))
	assert.Nil(t, back.match(&Message{RoutingKey: "k", Body: []byte("x")}))
	assert.False(t, back.unmatched())
	assert.True(t, returned{{}}.unmatched())
}

func TestFullQueueRefuses(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(amqp.Table{"x-max-length": int32(2), "x-overflow": "reject-publish"})
	p := newPublisher(t, brokerURL(t))
	require.NoError(t, p.Publish(t.Context(), to(queue, "1"), to(queue, "2")))
	errs := failures(t, p.Publish(t.Context(), to(queue, "3")), 1)
	assert.ErrorIs(t, errs[0], errNack)
	assert.ErrorContains(t, errs[0], `message "3": refused by the broker (nack)`)
	assert.Equal(t, []string{"1", "2"}, a.takeIDs(queue))
	idle := func() int {
		session := p.links[0].session()
		session.mu.Lock()
		defer session.mu.Unlock()
		return len(session.idle)
	}
	assert.Zero(t, idle(), "a channel on which the broker refuses may refuse everything from then on")
	require.NoError(t, p.Publish(t.Context(), to(queue, "3")))
	assert.Equal(t, 1, idle())
}

func TestManyGoroutinesShareOneConnection(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	proxy, proxyURL := newProxy(t)
	p := newPublisher(t, proxyURL)
	const workers, rounds, size = 50, 4, 20
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for r := range rounds {
				msgs := make([]Message, size)
				for i := range msgs {
					msgs[i] = to(queue, fmt.Sprintf("%d-%d-%d", w, r, i))
				}
				// One message of each batch is returned, on the channel of its batch.
				msgs[r].RoutingKey = "nobody-" + queue
				errs := failures(t, p.Publish(t.Context(), msgs...), size)
				for i, err := range errs {
					assert.Equal(t, i == r, err != nil, "%v", err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, id := range a.takeIDs(queue) {
		assert.False(t, seen[id], "%s twice", id)
		seen[id] = true
	}
	assert.Len(t, seen, workers*rounds*(size-1))
	assert.EqualValues(t, 1, proxy.Accepted())
}

func TestMorePublishersThanChannelsWaitWithinTheirContext(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	p := newPublisher(t, brokerURL(t))
	require.NoError(t, p.Publish(t.Context(), to(queue, "first")))
	s := p.links[0].current
	for range cap(s.slots) {
		s.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	errs := failures(t, p.Publish(ctx, to(queue, "waits")), 1)
	assert.ErrorIs(t, errs[0], context.Canceled)

	done := make(chan error, 1)
	go func() { done <- p.Publish(t.Context(), to(queue, "second")) }()
	for range cap(s.slots) {
		<-s.slots
	}
	require.NoError(t, <-done)
	assert.Equal(t, []string{"first", "second"}, a.takeIDs(queue))
}

func TestCallsThatOverlapUseConnectionsOfTheirOwn(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	proxy, url := newProxy(t)
	p := newPublisher(t, url, WithConnections(2))
	for i := range 3 {
		require.NoError(t, p.Publish(t.Context(), to(queue, fmt.Sprint("alone ", i))))
	}
	assert.EqualValues(t, 1, proxy.Accepted(), "calls that don't overlap share one")

	l := p.begin() // as a call does that runs
	for i := range 3 {
		require.NoError(t, p.Publish(t.Context(), to(queue, fmt.Sprint("beside ", i))))
	}
	p.finish(l)
	assert.EqualValues(t, 2, proxy.Accepted())
	assert.Equal(t, []string{"alone 0", "alone 1", "alone 2", "beside 0", "beside 1", "beside 2"}, a.takeIDs(queue))
}

func TestSenderOfAFlushManyTellsWhenAllIsWritten(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	p := newPublisher(t, brokerURL(t))
	written := 0
	msgs := make([]Message, window+1)
	for i := range msgs {
		msgs[i] = to(queue, fmt.Sprint(i))
	}
	require.NoError(t, p.publish(t.Context(), entsignal.ModeFlushMany, msgs, make([]error, len(msgs)), func() { written++ }))
	assert.Equal(t, 1, written, "once, with the last window")
	_, err := NewPublisher(brokerURL(t), WithConnections(0))
	require.EqualError(t, err, "rabbitmq: WithConnections: 0 connections; expected 1 or more")
}

func TestCallsKeepOffAConnectionThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	p := newPublisher(t, brokerURL(t), WithConnections(2))
	p.links[0].failed(errLost, time.Hour)
	for range 2 {
		require.NoError(t, p.Publish(t.Context(), to(queue, "x")))
	}
	p.links[1].failed(errLost, time.Hour)
	require.NoError(t, p.Publish(t.Context(), to(queue, "x")), "it is open")
	assert.Len(t, a.takeIDs(queue), 3)
}
