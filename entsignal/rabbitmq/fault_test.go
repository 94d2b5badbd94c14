package rabbitmq

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/testlog"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// start publishes in the background.
func start(t *testing.T, ctx context.Context, p *Publisher, msgs ...Message) <-chan error {
	t.Helper()
	result := make(chan error, 1)
	go func() { result <- p.Publish(ctx, msgs...) }()
	return result
}

// inTime returns the result of a call. It fails the test if the call hangs.
func inTime(t *testing.T, result <-chan error) error {
	t.Helper()
	select {
	case err := <-result:
		return err
	case <-time.After(hang):
		require.FailNow(t, "it hangs")
		return nil
	}
}

func TestConnectionCutBeforeTheConfirms(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	proxy, proxyURL := newProxy(t)
	var log testlog.Log
	p := newPublisher(t, proxyURL, WithLogger(log.Logger()))
	require.NoError(t, p.Publish(t.Context(), to(queue, "before")))

	proxy.SwallowDown.Store(true)
	msgs := make([]Message, 50)
	for i := range msgs {
		msgs[i] = to(queue, fmt.Sprint(i))
	}
	result := start(t, t.Context(), p, msgs...)
	a.awaitCount(queue, 1+len(msgs))
	proxy.Cut()
	for _, err := range failures(t, <-result, len(msgs)) {
		assert.True(t, entsignal.IsUnavailable(err))
		assert.ErrorContains(t, err, "connection lost before the confirm; may have been stored")
	}
	assert.Len(t, a.take(queue), 1+len(msgs), "published again after a lost connection")

	proxy.SwallowDown.Store(false)
	require.NoError(t, p.Publish(t.Context(), to(queue, "after")), "the next call must reconnect")
	assert.Contains(t, log.String(), "connection lost")
}

func TestIdleConnectionCutIsReplaced(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	proxy, proxyURL := newProxy(t)
	p := newPublisher(t, proxyURL)
	for i := range 5 {
		require.NoError(t, p.Publish(t.Context(), to(queue, fmt.Sprint(i))))
		s := p.links[0].current
		proxy.Cut()
		<-s.done
	}
	assert.Len(t, a.take(queue), 5)
	assert.EqualValues(t, 5, proxy.Accepted())
}

func TestHalfOpenConnectionEndsWithTheConfirmTimeout(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	proxy, proxyURL := newProxy(t)
	const timeout = 3 * time.Second // enough for the first message, however busy the machine is
	p := newPublisher(t, proxyURL, WithConfirmTimeout(timeout), WithDialTimeout(timeout))
	require.NoError(t, p.Publish(t.Context(), to(queue, "before")))
	s := p.links[0].current

	proxy.SwallowUp.Store(true)
	proxy.SwallowDown.Store(true)
	errs := failures(t, inTime(t, start(t, t.Context(), p, to(queue, "1"), to(queue, "2"))), 2)
	assert.ErrorContains(t, errs[1], `message "2": no confirm within 3s; may have been stored`)
	assert.True(t, entsignal.IsUnavailable(errs[0]))
	<-s.done // no answer to the close of the channel either: the connection is given up

	errs = failures(t, inTime(t, start(t, t.Context(), p, to(queue, "3"))), 1)
	assert.ErrorContains(t, errs[0], "connect: no answer within 3s")
	assert.True(t, entsignal.IsUnavailable(errs[0]))
	proxy.Cut()
}

func TestHalfOpenConnectionWithAFullSocketEndsWithTheWriteTimeout(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	proxy, proxyURL := newProxy(t)
	p := newPublisher(t, proxyURL, WithWriteTimeout(2*time.Second), WithMaxBodySize(64<<20))
	require.NoError(t, p.Publish(t.Context(), to(queue, "before")))
	// Both calls below need a channel that is open already.
	one, err := p.links[0].current.borrow(t.Context())
	require.NoError(t, err)
	other, err := p.links[0].current.borrow(t.Context())
	require.NoError(t, err)
	p.links[0].current.release(one)
	p.links[0].current.release(other)

	proxy.Stall.Store(true)
	small := start(t, t.Context(), p, to(queue, "small"))
	large := start(t, t.Context(), p, Message{RoutingKey: queue, Body: make([]byte, 30<<20)}, to(queue, "next"))
	errs := failures(t, inTime(t, large), 2)
	assert.True(t, entsignal.IsUnavailable(errs[0]))
	assert.ErrorContains(t, errs[1], "connection lost")
	assert.True(t, entsignal.IsUnavailable(inTime(t, small)), "the others on the connection must be freed too")
}

// A write may notice the loss before anything is read.
func TestWriteThatFailsTellsOfTheLostConnection(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	var log testlog.Log
	p := newPublisher(t, brokerURL(t), WithLogger(log.Logger()))
	require.NoError(t, p.Publish(t.Context(), to(queue, "before")))
	s := p.links[0].current
	s.raw.mu.Lock()
	s.raw.timeout = -time.Second // each write is late
	s.raw.mu.Unlock()

	errs := failures(t, inTime(t, start(t, t.Context(), p, to(queue, "late"))), 1)
	assert.True(t, entsignal.IsUnavailable(errs[0]))
	<-s.done
	assert.Equal(t, 1, log.Count("connection lost"), log.String())
	require.NoError(t, p.Publish(t.Context(), to(queue, "after")), "the next call must reconnect")
}

func TestEndOfTheContextWhileWaitingForConfirms(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	proxy, proxyURL := newProxy(t)
	p := newPublisher(t, proxyURL)
	require.NoError(t, p.Publish(t.Context(), to(queue, "before")))

	proxy.SwallowDown.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	result := start(t, ctx, p, to(queue, "1"), to(queue, "2"))
	a.awaitCount(queue, 3)
	cancel()
	for _, err := range failures(t, <-result, 2) {
		assert.ErrorIs(t, err, context.Canceled)
		assert.ErrorContains(t, err, "may have been stored")
	}
	errs := failures(t, p.Publish(ctx, to(queue, "3")), 1)
	assert.ErrorIs(t, errs[0], context.Canceled)
	assert.NotContains(t, errs[0].Error(), "stored")
	proxy.Cut()
}

func TestUnreachableBrokerIsUnavailable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())

	var log testlog.Log
	p := newPublisher(t, "amqp://u:s3cret@"+addr, WithLogger(log.Logger()))
	for range 20 {
		errs := failures(t, p.Publish(t.Context(), to("q", "1"), to("q", "2")), 2)
		assert.True(t, entsignal.IsUnavailable(errs[0]))
		assert.ErrorContains(t, errs[1], "connection refused")
	}
	assert.Equal(t, 1, strings.Count(log.String(), "can't connect"), "an outage is logged once")
	assert.NotContains(t, log.String(), "s3cret")
}

func TestBlackHoleDelaysOneDialOnly(t *testing.T) {
	t.Parallel()
	proxy, proxyURL := newProxy(t)
	proxy.SwallowUp.Store(true)
	proxy.SwallowDown.Store(true)
	const timeout = 3 * time.Second // and the pause after it, within which all that is below happens
	p := newPublisher(t, proxyURL, WithDialTimeout(timeout))

	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { assert.True(t, entsignal.IsUnavailable(p.Publish(t.Context(), to("q", "1")))) })
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, p.Publish(ctx, to("q", "1")), context.Canceled, "each waits within its own context")
	wg.Wait()
	assert.True(t, entsignal.IsUnavailable(p.Publish(t.Context(), to("q", "1"))))
	assert.EqualValues(t, 1, proxy.Accepted(), "right after a failed dial calls fail without another one")
}

func TestPauseGrowsWithTheDial(t *testing.T) {
	t.Parallel()
	for range 100 {
		assert.InDelta(t, 50*time.Millisecond, pause(0, nil), float64(10*time.Millisecond))
		assert.InDelta(t, 2*time.Second, pause(2*time.Second, nil), float64(400*time.Millisecond))
		assert.InDelta(t, 5*time.Second, pause(time.Hour, nil), float64(time.Second))
		assert.InDelta(t, 5*time.Second, pause(0, fmt.Errorf("connect: %w", wrapBroker(amqp.ErrCredentials))), float64(time.Second))
	}
}

func TestWrongPasswordIsUnavailableAndNotHot(t *testing.T) {
	t.Parallel()
	proxy, proxyURL := newProxy(t)
	u, err := url.Parse(proxyURL)
	require.NoError(t, err)
	u.User = url.UserPassword("guest", "s3cret-wrong")
	var log testlog.Log
	p := newPublisher(t, u.String(), WithLogger(log.Logger()))
	for range 5 {
		errs := failures(t, p.Publish(t.Context(), to("q", "1")), 1)
		assert.True(t, entsignal.IsUnavailable(errs[0]))
		assert.Equal(t, amqp.AccessRefused, code(errs[0]))
		assert.NotContains(t, errs[0].Error(), "s3cret")
	}
	assert.EqualValues(t, 1, proxy.Accepted())
	assert.NotContains(t, log.String(), "s3cret")
}

func TestBlockedConnectionFailsAtOnce(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	var log testlog.Log
	p := newPublisher(t, brokerURL(t), WithLogger(log.Logger()))
	require.NoError(t, p.Publish(t.Context(), to(queue, "before")))

	// An alarm of a broker that others use is not for a test to raise.
	s := p.links[0].current
	s.setBlocked(amqp.Blocking{Active: true, Reason: "low on memory\nforged=line"})
	s.setBlocked(amqp.Blocking{Active: true, Reason: "low on disk"})
	errs := failures(t, p.Publish(t.Context(), to(queue, "1")), 1)
	assert.True(t, entsignal.IsUnavailable(errs[0]))
	assert.ErrorContains(t, errs[0], `connection blocked: "low on disk"`)
	s.setBlocked(amqp.Blocking{})
	s.setBlocked(amqp.Blocking{})
	require.NoError(t, p.Publish(t.Context(), to(queue, "2")))
	assert.Equal(t, 1, strings.Count(log.String(), "connection blocked"))
	assert.Equal(t, 1, strings.Count(log.String(), "connection unblocked"))
	assert.Equal(t, []string{"before", "2"}, a.takeIDs(queue))
}
