package rabbitmq

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCloseWaitsForRunningCalls(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	p := newPublisher(t, brokerURL(t))
	var wg sync.WaitGroup
	running := make(chan struct{}, 8)
	for w := range cap(running) {
		wg.Go(func() {
			for i := 0; ; i++ {
				err := p.Publish(t.Context(), to(queue, fmt.Sprintf("%d-%d", w, i)))
				if i == 0 {
					running <- struct{}{}
				}
				if err != nil {
					assert.ErrorIs(t, err, ErrClosed, "a call that began before Close must succeed")
					return
				}
			}
		})
	}
	for range cap(running) {
		<-running
	}
	require.NoError(t, p.Close(t.Context()))
	require.NoError(t, p.Close(t.Context()), "closing twice is harmless")
	wg.Wait()

	errs := failures(t, p.Publish(t.Context(), to(queue, "late")), 1)
	assert.ErrorIs(t, errs[0], ErrClosed)
	assert.True(t, entsignal.IsUnavailable(errs[0]))
}

func TestCloseCutsOffWhatDoesntEndInTime(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	proxy, proxyURL := newProxy(t)
	p := newPublisher(t, proxyURL, WithConfirmTimeout(time.Minute))
	require.NoError(t, p.Publish(t.Context(), to(queue, "before")))
	proxy.SwallowDown.Store(true)
	result := start(t, t.Context(), p, to(queue, "stuck"))
	a.awaitCount(queue, 2)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := p.Close(ctx)
	require.ErrorIs(t, err, context.Canceled)
	assert.ErrorContains(t, err, "1 running calls were cut off")
	assert.ErrorContains(t, <-result, "may have been stored")
}

func TestCloseOfADeadConnectionIsBounded(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	proxy, proxyURL := newProxy(t)
	p := newPublisher(t, proxyURL, WithConfirmTimeout(2*time.Second))
	require.NoError(t, p.Publish(t.Context(), to(queue, "before")))
	proxy.SwallowUp.Store(true)
	proxy.SwallowDown.Store(true)
	closed := make(chan error, 1)
	go func() { closed <- p.Close(context.Background()) }()
	require.NoError(t, inTime(t, closed))
}

func TestCloseEndsADial(t *testing.T) {
	t.Parallel()
	proxy, proxyURL := newProxy(t)
	proxy.SwallowDown.Store(true)
	p := newPublisher(t, proxyURL, WithDialTimeout(time.Minute))
	result := start(t, t.Context(), p, to("q", "1"))
	require.Eventually(t, func() bool { return proxy.Accepted() == 1 }, hang, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, p.Close(ctx), context.DeadlineExceeded)
	assert.ErrorIs(t, <-result, ErrClosed)
}

func TestCloseBeforeTheFirstUse(t *testing.T) {
	t.Parallel()
	p, err := NewPublisher("amqp://127.0.0.1:1")
	require.NoError(t, err)
	require.NoError(t, p.Close(t.Context()))
}
