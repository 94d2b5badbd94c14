package budget

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/lifecycle"
)

func TestCloseCountsAFlushWithItsBatchOnce(t *testing.T) {
	var life lifecycle.Lifecycle
	b := New(time.Minute, &life)
	require.NoError(t, life.Enter())
	begun, end, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer life.Leave()
		_, err := Do(context.Background(), b, func(context.Context) (int, error) {
			close(begun)
			<-end
			return 1, nil
		})
		assert.NoError(t, err)
	}()
	<-begun
	ended, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	require.EqualError(t, life.Close(ended), "entsignal: close: still running: 1 flush: context deadline exceeded")
	close(end)
	require.NoError(t, life.Close(context.Background()))
	<-done
}

// A context that ends with a signal, or with an application's own reason, has a
// cause that doesn't say so.
func TestCauseOfAnEndedContextIsToldWithTheEnd(t *testing.T) {
	b := New(time.Minute, &lifecycle.Lifecycle{})
	cause := errors.New("interrupt")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	_, err := Do(ctx, b, func(context.Context) (int, error) { return 1, nil })
	require.ErrorIs(t, err, cause)
	require.ErrorIs(t, err, context.Canceled)
	ctx, cancel = context.WithCancelCause(context.Background())
	cancel(entsignal.ErrClosed)
	_, err = Do(ctx, b, func(context.Context) (int, error) { return 1, nil })
	require.Equal(t, entsignal.ErrClosed, err)
}
