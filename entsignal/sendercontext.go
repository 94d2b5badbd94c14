package entsignal

import "context"

// NewBatchContext returns a context in which a sender finds b by
// [BatchFromContext], as in the one that a bus gives to it. It is for tests that
// call a sender themselves.
func NewBatchContext(ctx context.Context, b Batch) context.Context { return withBatch(ctx, b) }

// NewPublishedContext returns a context with which [Published] calls published.
// It is for tests that call a sender themselves.
func NewPublishedContext(ctx context.Context, published func()) context.Context {
	return withPublished(ctx, published)
}
