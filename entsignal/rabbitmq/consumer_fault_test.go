package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// says waits until the log of a consumer says so.
func (c *consumption) says(text string) {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return c.log.Count(text) > 0 }, hang, time.Millisecond, text)
}

func TestCutConnectionsLoseNothing(t *testing.T) {
	t.Parallel()
	kinds(t, func(t *testing.T, kind string) {
		a := newAdmin(t)
		queue, dead := a.withGraveyard(kind, nil)
		ids := numbered("m", 300)
		a.put(queue, ids...)
		proxy, proxyURL := newProxy(t)
		var mu sync.Mutex
		seen := map[string]int{}
		var calls atomic.Int64
		all := make(chan struct{})
		c := consume(t, proxyURL, queue, func(_ context.Context, d Delivery) error {
			if n := calls.Add(1); n%60 == 0 && n <= 300 {
				proxy.Cut() // while others are at work, and acknowledgements on their way
			}
			mu.Lock()
			defer mu.Unlock()
			if seen[d.MessageID]++; seen[d.MessageID] == 1 && len(seen) == len(ids) {
				close(all)
			}
			return nil
		}, WithPrefetch(10))
		next(t, all)
		require.NoError(t, c.stop())
		a.awaitReady(queue, 0)
		assert.Empty(t, a.take(dead))
		assert.GreaterOrEqual(t, proxy.Accepted(), int64(5))
		assert.NotContains(t, c.log.String(), "unknown delivery tag")
	})
}

// The delivery of a lost connection is never acknowledged on the next one, where its
// number belongs to another message.
func TestHandlerFinishesAfterItsConnectionIsLost(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.shared("classic", nil)
	a.put(queue, "m")
	proxy, proxyURL := newProxy(t)
	running, release := make(chan Delivery, 10), make(chan struct{})
	c := consume(t, proxyURL, queue, func(ctx context.Context, d Delivery) error {
		running <- d
		<-release
		return ctx.Err() // it doesn't end with the connection
	})
	assert.False(t, next(t, running).Redelivered)
	proxy.Cut()
	assert.True(t, next(t, running).Redelivered, "the consumer doesn't wait for its handlers to connect again")
	close(release)
	c.says("too late to settle a delivery")
	require.NoError(t, c.stop())
	a.awaitReady(queue, 0)
	assert.Equal(t, 1, c.log.Count("connection lost"))
	assert.NotContains(t, c.log.String(), "the handler failed")
}

func TestWorkersAreBoundedAcrossConnections(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.shared("classic", nil)
	a.put(queue, "1", "2")
	proxy, proxyURL := newProxy(t)
	running, release := make(chan string, 10), make(chan struct{})
	c := consume(t, proxyURL, queue, func(_ context.Context, d Delivery) error {
		running <- d.MessageID
		<-release
		return nil
	}, WithWorkers(1))
	assert.Equal(t, "1", next(t, running))
	proxy.Cut()
	require.Eventually(t, func() bool { return c.log.Count("rabbitmq: consuming") == 2 }, hang, time.Millisecond)
	a.put(queue, "3")
	assert.Empty(t, running)
	close(release)
	assert.Equal(t, "1", next(t, running))
	assert.Equal(t, "2", next(t, running))
	assert.Equal(t, "3", next(t, running))
}

func TestDeletedQueueIsConsumedWhenItIsBack(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.shared("classic", nil)
	a.put(queue, "before", "gone")
	got, release := make(chan string, 10), make(chan struct{})
	c := consume(t, brokerURL(t), queue, func(_ context.Context, d Delivery) error {
		got <- d.MessageID
		if d.MessageID == "gone" {
			<-release
		}
		return nil
	})
	next(t, got)
	next(t, got)
	_, err := a.QueueDelete(queue, false, false, false)
	require.NoError(t, err)
	c.says("the broker has ended the consumer")
	c.says("no queue")
	a.declare(queue, "classic", nil)
	a.put(queue, "after")
	assert.Equal(t, "after", next(t, got), "a handler of the old queue holds nobody up")
	close(release)
	require.NoError(t, c.stop())
	a.awaitReady(queue, 0)
	assert.Equal(t, 2, c.log.Count("rabbitmq: consuming"))
}

func TestMissingQueueIsAwaited(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := unique("late")
	got := make(chan string, 1)
	c := consume(t, brokerURL(t), queue, func(_ context.Context, d Delivery) error {
		got <- d.MessageID
		return nil
	})
	c.says("no queue '" + queue + "'")
	a.declare(queue, "classic", nil)
	t.Cleanup(func() { _, _ = a.QueueDelete(queue, false, false, false) })
	a.put(queue, "m")
	assert.Equal(t, "m", next(t, got))
	assert.Equal(t, 1, c.log.Count("not consuming"), "an outage is logged once")
	assert.Equal(t, 1, c.log.Count("rabbitmq: consuming"))
}

func TestConsumerLeavesABlackHole(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.shared("classic", nil)
	a.put(queue, "m")
	proxy, proxyURL := newProxy(t)
	proxy.BlackHole(true)
	got := make(chan string, 1)
	c := consume(t, proxyURL, queue, func(_ context.Context, d Delivery) error {
		got <- d.MessageID
		return nil
	}, WithDialTimeout(100*time.Millisecond))
	c.says("connect: no answer within 100ms")
	ended := consume(t, proxyURL, queue, func(context.Context, Delivery) error { return nil }, WithDialTimeout(hang))
	require.Eventually(t, func() bool { return proxy.Accepted() >= 2 }, hang, time.Millisecond)
	require.NoError(t, ended.stop(), "the end of its context ends a dial")
	proxy.BlackHole(false)
	proxy.Cut()
	// 100 ms may be too short for a busy machine, but not each time.
	assert.Equal(t, "m", next(t, got))
	require.NoError(t, c.stop())
	a.awaitReady(queue, 0)
}

// Nothing comes from a network that died: the heartbeat notices.
func TestHalfOpenConnectionOfAConsumerIsReplaced(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.shared("classic", nil)
	a.put(queue, "1")
	proxy, proxyURL := newProxy(t)
	got := make(chan string, 10)
	c := consume(t, proxyURL, queue, func(_ context.Context, d Delivery) error {
		got <- d.MessageID
		return nil
	}, WithHeartbeat(time.Second))
	assert.Equal(t, "1", next(t, got))
	end := proxy.Fade(true, true)
	defer end()
	c.says("connection lost")
	end()
	a.put(queue, "2")
	for next(t, got) != "2" { // the acknowledgement of 1 may have been on its way
	}
}

func TestRunEndsOnADeadNetwork(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.shared("classic", nil)
	a.put(queue, "m")
	proxy, proxyURL := newProxy(t)
	running, release := make(chan struct{}, 10), make(chan struct{})
	c := consume(t, proxyURL, queue, func(context.Context, Delivery) error {
		running <- struct{}{}
		<-release
		return nil
	}, WithAnswerTimeout(2*time.Second))
	next(t, running)
	proxy.BlackHole(true)
	c.cancel()
	c.says("no answer from the broker")
	close(release)
	require.NoError(t, inTime(t, c.result))
	proxy.Cut()
	a.awaitReady(queue, 1)
}

func TestConsumerThatIsRefusedTriesAgainAndShowsNoPassword(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(brokerURL(t))
	require.NoError(t, err)
	u.User = url.UserPassword("guest", "s3cret-wrong")
	c := consume(t, u.String(), "q", func(context.Context, Delivery) error { return nil })
	c.says("(code 403)")
	require.NoError(t, c.stop())
	assert.NotContains(t, c.log.String(), "s3cret")
}

func TestConsumerThatNobodyAnswersTriesAgainAndLogsOnce(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var tries atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			tries.Add(1)
			_ = conn.Close()
		}
	}()
	c := consume(t, fmt.Sprintf("amqp://%s", l.Addr()), "q", func(context.Context, Delivery) error { return errors.New("never") })
	require.Eventually(t, func() bool { return tries.Load() >= 3 }, hang, time.Millisecond)
	require.NoError(t, c.stop())
	assert.Equal(t, 1, c.log.Count("not consuming"))
	require.NoError(t, l.Close())
	<-done
}
