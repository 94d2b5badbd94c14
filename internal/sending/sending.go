// Package sending holds what a bus puts into the context of a sender. The sender
// reads it with functions of package entsignal.
package sending

import "context"

type (
	batchKey     struct{}
	spanKey      struct{}
	publishedKey struct{}
)

// WithBatch returns a context that carries the batch, an entsignal.Batch.
func WithBatch(ctx context.Context, batch any) context.Context {
	return context.WithValue(ctx, batchKey{}, batch)
}

// Batch returns the batch that ctx carries, or nil.
func Batch(ctx context.Context) any { return ctx.Value(batchKey{}) }

// WithSpan returns a context that carries the span of a call of the sender, an
// entsignal.SendSpan.
func WithSpan(ctx context.Context, span any) context.Context {
	return context.WithValue(ctx, spanKey{}, span)
}

// Span returns the span that ctx carries, or nil.
func Span(ctx context.Context) any { return ctx.Value(spanKey{}) }

// WithPublished returns a context whose sender calls published when it has handed
// all its messages to the broker.
func WithPublished(ctx context.Context, published func()) context.Context {
	return context.WithValue(ctx, publishedKey{}, published)
}

// Published calls the function set by [WithPublished], if there is one.
func Published(ctx context.Context) {
	if published, ok := ctx.Value(publishedKey{}).(func()); ok {
		published()
	}
}
