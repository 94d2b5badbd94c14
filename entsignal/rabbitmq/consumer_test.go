package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
)

func TestEachMessageIsHandledOnceAndAcknowledged(t *testing.T) {
	t.Parallel()
	kinds(t, func(t *testing.T, kind string) {
		a := newAdmin(t)
		queue := a.shared(kind, nil)
		ids := numbered("m", 100)
		a.put(queue, ids...)
		got := make(chan string, 1000)
		c := consume(t, brokerURL(t), queue, func(_ context.Context, d Delivery) error {
			got <- d.MessageID
			return nil
		}, WithPrefetch(7))
		var handled []string
		for range ids {
			handled = append(handled, next(t, got))
		}
		require.NoError(t, c.stop())
		slices.Sort(handled)
		assert.Equal(t, ids, handled)
		assert.Empty(t, got)
		a.awaitReady(queue, 0) // what is not acknowledged would be back
	})
}

func TestHandlerGetsTheWholeMessage(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.shared("classic", nil)
	sent := Message{
		RoutingKey: queue, MessageID: "OrderPlaced:17", AppID: "shop", Type: "order.placed", Body: []byte("{}"),
		ContentType: "application/json", ContentEncoding: "gzip", CorrelationID: "c", ReplyTo: "r", Priority: 3,
		Timestamp: time.Unix(1_700_000_000, 0),
		Headers:   map[string]any{"n": 1, "map": map[string]any{"list": []any{"a", map[string]any{"b": true}}}},
	}
	require.NoError(t, newPublisher(t, brokerURL(t)).Publish(t.Context(), sent))
	type key struct{}
	got := make(chan Delivery, 1)
	consumer, err := NewConsumer(brokerURL(t), queue, func(ctx context.Context, d Delivery) error {
		assert.Equal(t, "of Run", ctx.Value(key{}))
		_, bounded := ctx.Deadline()
		assert.True(t, bounded)
		got <- d
		return nil
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "of Run"))
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- consumer.Run(ctx) }()
	assert.Equal(t, Delivery{
		AppID: "shop", MessageID: "OrderPlaced:17", Type: "order.placed", Body: []byte("{}"), Deliveries: 1,
		Headers: map[string]any{"n": int32(1), "map": map[string]any{"list": []any{"a", map[string]any{"b": true}}}},
		Queue:   queue, RoutingKey: queue, ContentType: "application/json", ContentEncoding: "gzip", CorrelationID: "c", ReplyTo: "r", Priority: 3,
		Timestamp: time.Unix(1_700_000_000, 0),
	}, next(t, got))
	assert.Equal(t, entsignal.MessageKey{Source: "shop", ID: "OrderPlaced:17"}, Delivery{AppID: "shop", MessageID: "OrderPlaced:17"}.Key())
	assert.ErrorContains(t, consumer.Run(ctx), "is already running")
	cancel()
	require.NoError(t, inTime(t, result))
	require.NoError(t, consumer.Run(ctx), "it may run again")
}

func TestFailedMessageIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	kinds(t, func(t *testing.T, kind string) {
		a := newAdmin(t)
		queue := a.shared(kind, nil)
		a.put(queue, "m")
		got := make(chan Delivery, 10)
		c := consume(t, brokerURL(t), queue, func(ctx context.Context, d Delivery) error {
			got <- d
			switch d.Deliveries {
			case 1:
				return errors.New("no")
			case 2:
				panic("ouch")
			case 3:
				runtime.Goexit()
			case 4:
				<-ctx.Done()
				return context.Cause(ctx)
			}
			return nil
		}, WithHandlerTimeout(50*time.Millisecond))
		for i := 1; i <= 5; i++ {
			d := next(t, got)
			assert.Equal(t, i, d.Deliveries)
			assert.Equal(t, i > 1, d.Redelivered)
		}
		require.NoError(t, c.stop())
		assert.Empty(t, got)
		a.awaitReady(queue, 0)
		for _, text := range []string{"error=no", `error="panic: ouch"`, "stack=", "ended its goroutine", "time of the handler is over",
			"app_id=shop message_id=m deliveries=4"} {
			assert.Contains(t, c.log.String(), text)
		}
		assert.NotContains(t, c.log.String(), "body of")
	})
}

// The poisonous messages come first, and are more than half of what the consumer holds.
func TestPoisonousMessagesGoToTheDeadLetterExchangeAndHoldNobodyUp(t *testing.T) {
	t.Parallel()
	kinds(t, func(t *testing.T, kind string) {
		a := newAdmin(t)
		queue, dead := a.withGraveyard(kind, nil)
		poison, spoiled, good := numbered("poison", 3), numbered("spoiled", 10), numbered("good", 30)
		a.put(queue, slices.Concat(poison, spoiled, good)...)
		var mu sync.Mutex
		calls := map[string]int{}
		done := make(chan string, 1000)
		c := consume(t, brokerURL(t), queue, func(_ context.Context, d Delivery) error {
			mu.Lock()
			calls[d.MessageID]++
			mu.Unlock()
			switch d.MessageID[0] {
			case 'p':
				return errors.New("poison")
			case 's':
				return fmt.Errorf("the body: %w", entsignal.Permanent(errors.New("spoiled")))
			}
			done <- d.MessageID
			return nil
		}, WithPrefetch(4), WithMaxDeliveries(3))
		for range good {
			next(t, done)
		}
		a.awaitCount(dead, len(poison)+len(spoiled))
		require.NoError(t, c.stop())
		got := a.takeIDs(dead)
		slices.Sort(got)
		assert.Equal(t, slices.Concat(poison, spoiled), got)
		for _, id := range poison {
			assert.Equal(t, 3, calls[id])
		}
		for _, id := range slices.Concat(spoiled, good) {
			assert.Equal(t, 1, calls[id])
		}
		a.awaitReady(queue, 0)
		assert.Equal(t, len(poison)+len(spoiled), c.log.Count("message rejected"))
	})
}

func TestUnavailableHandlerSpendsNoDeliveries(t *testing.T) {
	t.Parallel()
	kinds(t, func(t *testing.T, kind string) {
		a := newAdmin(t)
		queue, dead := a.withGraveyard(kind, nil)
		a.put(queue, "m")
		got := make(chan int, 100)
		var calls int
		c := consume(t, brokerURL(t), queue, func(_ context.Context, d Delivery) error {
			got <- d.Deliveries
			calls++
			switch {
			case calls <= 5:
				return entsignal.Unavailable(errors.New("no database"))
			case calls == 6:
				return errors.New("no")
			}
			return nil
		}, WithMaxDeliveries(2), WithWorkers(1))
		for range 6 {
			assert.Equal(t, 1, next(t, got))
		}
		assert.Equal(t, 2, next(t, got))
		require.NoError(t, c.stop())
		a.awaitReady(queue, 0)
		assert.Empty(t, a.take(dead))
	})
}

// The broker's own limit of a quorum queue needs nothing from the consumer.
func TestDeliveryLimitOfTheQueueHoldsToo(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue, dead := a.withGraveyard("quorum", amqp.Table{"x-delivery-limit": 2})
	a.put(queue, "poison")
	var calls atomic.Int64
	c := consume(t, brokerURL(t), queue, func(context.Context, Delivery) error {
		calls.Add(1)
		return errors.New("no")
	})
	a.awaitCount(dead, 1)
	require.NoError(t, c.stop())
	assert.EqualValues(t, 3, calls.Load())
}

// A dead-letter exchange that leads back, by way of a queue where messages wait, is a
// usual way to retry.
func TestReturnsFromTheDeadLetterExchangeCount(t *testing.T) {
	t.Parallel()
	kinds(t, func(t *testing.T, kind string) {
		a := newAdmin(t)
		wait := unique("wait")
		queue := a.shared(kind, amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": wait})
		a.declare(wait, "classic", amqp.Table{"x-message-ttl": 1, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue})
		t.Cleanup(func() { _, _ = a.QueueDelete(wait, false, false, false) })
		a.put(queue, "m")
		got := make(chan int, 10)
		consume(t, brokerURL(t), queue, func(_ context.Context, d Delivery) error {
			got <- d.Deliveries
			if d.Deliveries < 4 {
				return entsignal.Permanent(errors.New("not yet"))
			}
			return nil
		})
		for i := 1; i <= 4; i++ {
			assert.Equal(t, i, next(t, got))
		}
	})
}

func TestMessageWithoutAnIDIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.shared("classic", nil)
	a.put(queue, "", "")
	got := make(chan Delivery, 10)
	consume(t, brokerURL(t), queue, func(_ context.Context, d Delivery) error {
		got <- d
		if !d.Redelivered {
			return errors.New("no")
		}
		return nil
	}, WithMaxDeliveries(2))
	for range 4 {
		assert.Equal(t, 1, next(t, got).Deliveries, "two messages without ids must not share a count")
	}
}

func TestAsManyHandlersRunAtOnceAsThereAreWorkers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		opts []ConsumerOption
		want int
	}{
		{[]ConsumerOption{WithPrefetch(3)}, 3},
		{[]ConsumerOption{WithPrefetch(9), WithWorkers(2)}, 2},
	} {
		a := newAdmin(t)
		queue := a.shared("classic", nil)
		a.put(queue, numbered("m", 20)...)
		running, release := make(chan struct{}, 100), make(chan struct{})
		var now, most atomic.Int64
		run := consume(t, brokerURL(t), queue, func(context.Context, Delivery) error {
			n := now.Add(1)
			defer now.Add(-1)
			for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
			}
			running <- struct{}{}
			<-release
			return nil
		}, c.opts...)
		for range c.want {
			next(t, running)
		}
		close(release)
		for range 20 - c.want {
			next(t, running)
		}
		require.NoError(t, run.stop())
		assert.EqualValues(t, c.want, most.Load())
	}
}

func TestOneWorkerKeepsTheOrder(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.shared("classic", nil)
	ids := numbered("m", 50)
	a.put(queue, ids...)
	got := make(chan string, len(ids))
	consume(t, brokerURL(t), queue, func(_ context.Context, d Delivery) error {
		got <- d.MessageID
		return nil
	}, WithWorkers(1))
	for _, id := range ids {
		assert.Equal(t, id, next(t, got))
	}
}

func TestRunEndsAfterTheDeliveriesInHand(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.shared("classic", nil)
	ids := numbered("m", 9)
	a.put(queue, ids...)
	running, release := make(chan string, 10), make(chan struct{})
	c := consume(t, brokerURL(t), queue, func(ctx context.Context, d Delivery) error {
		running <- d.MessageID
		<-release
		return ctx.Err()
	}, WithPrefetch(6), WithWorkers(2))
	next(t, running)
	next(t, running)
	c.cancel()
	a.awaitReady(queue, 7) // what no handler has begun is there for others at once
	select {
	case err := <-c.result:
		require.FailNow(t, "Run must wait for its handlers", err)
	default:
	}
	close(release)
	require.NoError(t, inTime(t, c.result))
	assert.Empty(t, running)
	assert.Equal(t, ids[2:], a.takeIDs(queue))
}

func TestMessagesThatWaitForTheirPauseGoBackAtTheEnd(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.shared("classic", nil)
	a.put(queue, "m")
	failed := make(chan struct{}, 1)
	c := consume(t, brokerURL(t), queue, func(context.Context, Delivery) error {
		failed <- struct{}{}
		return errors.New("no")
	}, WithRedeliveryPause(hang, hang))
	next(t, failed)
	require.NoError(t, c.stop())
	a.awaitReady(queue, 1)
}

func TestHandlerThatDoesNotEndIsLeftBehind(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.shared("classic", nil)
	a.put(queue, "deaf", "polite")
	running, release, left := make(chan struct{}, 10), make(chan struct{}), make(chan struct{})
	c := consume(t, brokerURL(t), queue, func(ctx context.Context, d Delivery) error {
		running <- struct{}{}
		if d.MessageID == "deaf" {
			defer close(left)
			<-release
			return nil
		}
		<-ctx.Done()
		assert.ErrorIs(t, context.Cause(ctx), errStopping)
		return entsignal.Permanent(ctx.Err()) // it isn't the message's fault, whatever the handler says
	}, WithStopTimeout(20*time.Millisecond), WithAnswerTimeout(2*time.Second))
	next(t, running)
	next(t, running)
	require.ErrorContains(t, c.stop(), "has stopped, but 1 handlers still run after 20ms")
	a.awaitReady(queue, 2)
	close(release)
	<-left
}

func TestUnusableConsumersAreRefused(t *testing.T) {
	t.Parallel()
	handle := func(context.Context, Delivery) error { return nil }
	long := string(make([]byte, 256))
	for want, make := range map[string]func() (*Consumer, error){
		"the broker URL doesn't begin with":           func() (*Consumer, error) { return NewConsumer("http://u:s3cret@h", "q", handle) },
		"NewConsumer: the name of the queue is empty": func() (*Consumer, error) { return NewConsumer("amqp://h", "", handle) },
		"NewConsumer: the name of the queue: ":        func() (*Consumer, error) { return NewConsumer("amqp://h", long, handle) },
		"NewConsumer: the handler is nil":             func() (*Consumer, error) { return NewConsumer("amqp://h", "q", nil) },
	} {
		_, err := make()
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "s3cret")
	}
	for want, opt := range map[string]ConsumerOption{
		"a nil option":                  nil,
		"rabbitmq: a nil option":        ConnectionOption(nil),
		"WithPrefetch: 0 deliveries":    WithPrefetch(0),
		"WithPrefetch: 70000":           WithPrefetch(70_000),
		"WithWorkers: 0 workers":        WithWorkers(0),
		"WithWorkers: 21 workers get":   WithWorkers(21),
		"WithMaxDeliveries: 0":          WithMaxDeliveries(0),
		"WithRedeliveryPause: from 0s":  WithRedeliveryPause(0, time.Second),
		"WithRedeliveryPause: from 2s":  WithRedeliveryPause(2*time.Second, time.Second),
		"WithHandlerTimeout: 0s is too": WithHandlerTimeout(0),
		"WithStopTimeout: 0s is too":    WithStopTimeout(0),
		"WithAnswerTimeout: -1s is too": WithAnswerTimeout(-time.Second),
		"WithDialTimeout: 0s is too":    WithDialTimeout(0),
		"WithLogger: the logger is nil": WithLogger(nil),
		"middleware number 2 is nil":    WithMiddleware(func(next Handler) Handler { return next }, nil),
		"the observer is nil":           WithObserver(nil),
		"returns a nil handler":         WithMiddleware(func(Handler) Handler { return nil }),
	} {
		_, err := NewConsumer("amqp://h", "q", handle, opt)
		require.ErrorContains(t, err, want)
	}
}

func TestMemoryOfFailuresIsBounded(t *testing.T) {
	t.Parallel()
	var m memory
	for i := range 3 * remembered {
		m.add(entsignal.MessageKey{Source: "a", ID: fmt.Sprint(i)}, failure{failed: 1})
	}
	m.add(entsignal.MessageKey{Source: "a", ID: fmt.Sprint(3*remembered - 1)}, failure{failed: 1, away: 1})
	m.add(entsignal.MessageKey{Source: "a", ID: ""}, failure{failed: 1})
	assert.Len(t, m.counts, remembered)
	assert.Len(t, m.ring, remembered)
	assert.Equal(t, failure{2, 1}, m.of(entsignal.MessageKey{Source: "a", ID: fmt.Sprint(3*remembered - 1)}))
	assert.Zero(t, m.of(entsignal.MessageKey{Source: "a", ID: "0"}))
	m.forget(entsignal.MessageKey{Source: "a", ID: fmt.Sprint(3*remembered - 1)})
	assert.Zero(t, m.of(entsignal.MessageKey{Source: "a", ID: fmt.Sprint(3*remembered - 1)}))
}

// Anybody may write these headers.
func TestForgedCountsDoNoHarm(t *testing.T) {
	t.Parallel()
	for _, value := range []any{nil, "3", -1, int64(-5), true, []any{1}, uint8(200), int8(-1), int16(-1), int32(-1), uint16(9), uint32(9)} {
		headers := map[string]any{"x-delivery-count": value, "x-death": []any{value, map[string]any{"queue": "q", "reason": "rejected", "count": value}}}
		n, _ := deliveryCount(headers)
		assert.GreaterOrEqual(t, n, 0)
		assert.GreaterOrEqual(t, deaths(headers, "q"), 0)
		assert.Zero(t, deaths(headers, "other"))
		assert.Zero(t, deaths(map[string]any{"x-death": value}, "q"))
	}
}

// A classic queue puts a message that goes back where it was, so nothing overtakes it if
// the consumer holds no other. A quorum queue puts it at the end.
func TestPrefetchOfOneKeepsTheOrderOfAClassicQueueThroughFailures(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.shared("classic", amqp.Table{"x-single-active-consumer": true})
	ids := numbered("m", 6)
	a.put(queue, ids...)
	got := make(chan string, 100)
	handle := func(_ context.Context, d Delivery) error {
		got <- d.MessageID
		if d.MessageID == ids[1] && d.Deliveries < 3 || d.MessageID == ids[4] && !d.Redelivered {
			return errors.New("no")
		}
		return nil
	}
	for range 2 { // of which one is active
		consume(t, brokerURL(t), queue, handle, WithPrefetch(1))
	}
	for _, id := range []string{ids[0], ids[1], ids[1], ids[1], ids[2], ids[3], ids[4], ids[4], ids[5]} {
		assert.Equal(t, id, next(t, got))
	}
	a.awaitReady(queue, 0)
	assert.Empty(t, got)
}
