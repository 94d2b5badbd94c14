package rabbitmq

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/entsignal/signalbus/entsignal"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMissingExchangeFailsItsMessagesOnly(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	exchange, queue := a.exchange(false)
	missing := unique("missing")
	p := newPublisher(t, brokerURL(t))
	errs := failures(t, p.Publish(t.Context(),
		Message{Exchange: exchange, RoutingKey: "k", MessageID: "good-1"},
		Message{Exchange: missing, RoutingKey: "k", MessageID: "bad-1"},
		Message{Exchange: exchange, RoutingKey: "k", MessageID: "good-2"},
		Message{Exchange: missing, RoutingKey: "k", MessageID: "bad-2"},
		to(queue, "good-3"),
	), 5)
	for i, name := range map[int]string{1: "bad-1", 3: "bad-2"} {
		assert.ErrorContains(t, errs[i], name)
		assert.ErrorContains(t, errs[i], "no exchange '"+missing+"'")
		assert.False(t, entsignal.IsPermanent(errs[i]) || entsignal.IsUnavailable(errs[i]))
	}
	assert.NoError(t, errs[0])
	assert.NoError(t, errs[2])
	assert.NoError(t, errs[4])
	assert.Equal(t, []string{"good-1", "good-2", "good-3"}, a.takeIDs(queue), "each stored exactly once")
}

func TestExchangeDeletedAfterItWasSeen(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	gone, _ := a.exchange(false)
	queue := a.queue(nil)
	p := newPublisher(t, brokerURL(t))
	require.NoError(t, p.Publish(t.Context(), Message{Exchange: gone, RoutingKey: "k"}))
	require.NoError(t, a.ExchangeDelete(gone, false, false))

	errs := failures(t, p.Publish(t.Context(),
		to(queue, "good-1"),
		Message{Exchange: gone, RoutingKey: "k", MessageID: "bad-1"},
		Message{Exchange: gone, RoutingKey: "k", MessageID: "bad-2"},
		to(queue, "good-2"),
	), 4)
	assert.NoError(t, errs[0])
	assert.ErrorContains(t, errs[1], "no exchange")
	assert.ErrorContains(t, errs[2], "no exchange")
	assert.NoError(t, errs[3])
	ids := a.takeIDs(queue)
	assert.Subset(t, ids, []string{"good-1", "good-2"})
	assert.LessOrEqual(t, len(ids), 4, "only what was open when the channel closed may come twice")

	errs = failures(t, p.Publish(t.Context(),
		to(queue, "good-1"),
		Message{Exchange: gone, RoutingKey: "k", MessageID: "bad"},
		to(queue, "good-2"),
	), 3)
	assert.ErrorContains(t, errs[1], "no exchange")
	assert.Equal(t, []string{"good-1", "good-2"}, a.takeIDs(queue), "now it is known to be missing")
}

func TestRefusedPublishIsIsolated(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	internal, _ := a.exchange(true)
	queue := a.queue(nil)
	p := newPublisher(t, brokerURL(t))
	msgs := make([]Message, 40)
	for i := range msgs {
		msgs[i] = to(queue, fmt.Sprint(i))
	}
	for _, i := range []int{5, 6, 30} {
		msgs[i].Exchange = internal
	}
	// The broker accepts CC only as a list, and says so on the channel.
	msgs[20].Headers = map[string]any{"CC": "not a list"}

	errs := failures(t, p.Publish(t.Context(), msgs...), len(msgs))
	for i, err := range errs {
		switch i {
		case 5, 6, 30:
			assert.ErrorContains(t, err, "cannot publish to internal exchange")
			assert.ErrorContains(t, err, fmt.Sprintf("message %q", fmt.Sprint(i)))
			assert.Equal(t, amqp.AccessRefused, code(err))
			assert.False(t, entsignal.IsPermanent(err) || entsignal.IsUnavailable(err))
		case 20:
			assert.True(t, entsignal.IsPermanent(err), "%v", err)
			assert.Equal(t, amqp.PreconditionFailed, code(err))
		default:
			assert.NoError(t, err)
		}
	}
	stored := map[string]bool{}
	for _, id := range a.takeIDs(queue) {
		stored[id] = true
	}
	assert.Len(t, stored, len(msgs)-4)
	require.NoError(t, p.Publish(t.Context(), to(queue, "after")))
}

func TestOrderedFlushPublishesNothingBehindAFailure(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	internal, _ := a.exchange(true)
	p := newPublisher(t, brokerURL(t))
	cases := map[string]Message{
		"invalid":          {RoutingKey: strings.Repeat("k", 256), MessageID: "bad"},
		"missing exchange": {Exchange: unique("missing"), MessageID: "bad"},
		"refused":          {Exchange: internal, MessageID: "bad"},
	}
	for name, bad := range cases {
		t.Run(name, func(t *testing.T) {
			msgs := []Message{to(queue, "1"), to(queue, "2"), bad, to(queue, "3"), to(queue, "4")}
			err := p.publish(t.Context(), entsignal.ModeFlushOrdered, msgs, make([]error, len(msgs)), func() {})
			errs := failures(t, err, len(msgs))
			assert.NoError(t, errs[0])
			assert.NoError(t, errs[1])
			assert.Error(t, errs[2])
			assert.NotErrorIs(t, errs[2], errNotTried)
			assert.ErrorIs(t, errs[3], errNotTried)
			assert.ErrorContains(t, errs[4], "not tried after an earlier failure")
			ids := a.takeIDs(queue)
			assert.NotContains(t, ids, "3")
			assert.NotContains(t, ids, "4")
			assert.Subset(t, ids, []string{"1", "2"})
		})
	}
}

func TestSecondWindowIsNotTriedInAnOrderedFlush(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	p := newPublisher(t, brokerURL(t))
	msgs := make([]Message, window+5)
	for i := range msgs {
		msgs[i] = to(queue, fmt.Sprint(i))
	}
	msgs[10].RoutingKey = unique("nobody")
	errs := failures(t, p.publish(t.Context(), entsignal.ModeFlushOrdered, msgs, make([]error, len(msgs)), func() {}), len(msgs))
	assert.ErrorContains(t, errs[10], "NO_ROUTE")
	assert.NoError(t, errs[window-1])
	for _, err := range errs[window:] {
		assert.ErrorIs(t, err, errNotTried)
	}
	assert.Len(t, a.take(queue), window-1)
}

// endingContext ends after Err has been asked a number of times.
type endingContext struct {
	context.Context
	left int
}

func (c *endingContext) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestEndOfTheContextWhileTheBrokerRefuses(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	internal, _ := a.exchange(true)
	queue := a.queue(nil)
	p := newPublisher(t, brokerURL(t))
	msgs := []Message{{Exchange: internal}, to(queue, "1"), to(queue, "2"), to(queue, "3")}
	require.NoError(t, p.Publish(t.Context(), to(queue, "0")))
	for left := range 12 {
		err := p.Publish(&endingContext{t.Context(), left}, msgs...)
		for i, err := range failures(t, err, len(msgs)) {
			if err == nil {
				assert.NotZero(t, i)
				assert.Contains(t, a.takeIDs(queue), msgs[i].MessageID, "left %d", left)
				break
			}
			assert.NotErrorIs(t, err, errNoConfirm)
		}
	}
}

func TestManyCallsBesideOneThatTheBrokerRefusesAreSent(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	internal, _ := a.exchange(true)
	p := newPublisher(t, brokerURL(t))
	const calls = 50
	var all sync.WaitGroup
	for i := range calls {
		all.Go(func() {
			if i%10 == 0 {
				assert.Error(t, p.Publish(t.Context(), Message{Exchange: internal, MessageID: fmt.Sprint("bad ", i)}))
				return
			}
			assert.NoError(t, p.Publish(t.Context(), to(queue, fmt.Sprint(i))))
		})
	}
	all.Wait()
	assert.Len(t, a.takeIDs(queue), calls-calls/10)
}
