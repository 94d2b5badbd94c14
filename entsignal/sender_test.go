package entsignal

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/internal/sending"
)

// try returns what Each makes of a sender that fails as told.
func try(ctx context.Context, fail map[int]error, n int) (tried []int, errs []error) {
	signals := make([]int, n)
	for i := range signals {
		signals[i] = i
	}
	err := Each(func(_ context.Context, signal int) error {
		tried = append(tried, signal)
		return fail[signal]
	})(ctx, signals)
	var batch *BatchError
	if errors.As(err, &batch) {
		errs = batch.Errors
	}
	return tried, errs
}

func TestEachTriesEverySignal(t *testing.T) {
	bad := errors.New("bad")
	tried, errs := try(t.Context(), map[int]error{1: bad}, 4)
	assert.Equal(t, []int{0, 1, 2, 3}, tried)
	assert.Equal(t, []error{nil, bad, nil, nil}, errs)

	tried, errs = try(t.Context(), nil, 3)
	assert.Len(t, tried, 3)
	assert.Nil(t, errs)
}

func TestEachStopsWhenTheBrokerIsAway(t *testing.T) {
	away := Unavailable(errors.New("away"))
	tried, errs := try(t.Context(), map[int]error{1: fmt.Errorf("send: %w", away)}, 4)
	assert.Equal(t, []int{0, 1}, tried)
	require.Len(t, errs, 4)
	assert.NoError(t, errs[0])
	for _, err := range errs[1:] {
		assert.True(t, IsUnavailable(err))
	}
}

func TestEachStopsWhenItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tried, errs := try(ctx, nil, 2)
	assert.Empty(t, tried)
	assert.Equal(t, []error{context.Canceled, context.Canceled}, errs)
}

func TestEachSendsNothingBehindAFailureInOrderedMode(t *testing.T) {
	ctx := sending.WithBatch(t.Context(), Batch{Mode: ModeFlushOrdered, Items: make([]Item, 3)})
	tried, errs := try(ctx, map[int]error{1: errors.New("bad")}, 3)
	assert.Equal(t, []int{0, 1}, tried)
	require.Len(t, errs, 3)
	assert.Error(t, errs[2])
}

func TestEachShowsEachSignalItsOwnItem(t *testing.T) {
	ctx := sending.WithBatch(t.Context(), Batch{Mode: ModeFlush, Items: []Item{{ID: "a"}, {ID: "b"}}})
	var ids []string
	err := Each(func(ctx context.Context, _ int) error {
		batch, ok := BatchFromContext(ctx)
		require.True(t, ok)
		require.Len(t, batch.Items, 1)
		ids = append(ids, batch.Items[0].ID)
		return nil
	})(ctx, []int{1, 2})
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, ids)
	_, ok := BatchFromContext(t.Context())
	assert.False(t, ok)
}

func TestErrorsAreFoundThroughWrapping(t *testing.T) {
	cause := errors.New("cause")
	for name, mark := range map[string]struct {
		mark func(error) error
		is   func(error) bool
	}{"permanent": {Permanent, IsPermanent}, "unavailable": {Unavailable, IsUnavailable}} {
		err := fmt.Errorf("outer: %w", mark.mark(fmt.Errorf("inner: %w", cause)))
		assert.True(t, mark.is(err), name)
		assert.ErrorIs(t, err, cause)
		assert.False(t, mark.is(cause))
		assert.NoError(t, mark.mark(nil))
		assert.True(t, mark.is(&FlushError{Signal: "X", Err: &BatchError{Errors: []error{nil, err}}}), name)
	}
}

func TestBatchErrorNamesTheFirstFailures(t *testing.T) {
	var errs []error
	for i := range 6 {
		errs = append(errs, fmt.Errorf("e%d", i))
	}
	errs[1] = nil
	assert.EqualError(t, &BatchError{Errors: errs}, "5 of 6 not sent: e0; e2; e3; and 2 more")
}
