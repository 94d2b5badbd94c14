// Package foreign calls code of the application: senders, error handlers and log
// handlers. A panic in it must not end a commit that has succeeded, nor the
// process, so it becomes an error.
package foreign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/entsignal/signalbus/internal/mark"
)

// Call runs f. A panic becomes its error, a [*PanicError].
func Call[R any](f func() (R, error)) (_ R, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return f()
}

// Do is [Call] for a function that returns nothing.
func Do(f func()) error {
	_, err := Call(func() (struct{}, error) {
		f()
		return struct{}{}, nil
	})
	return err
}

// CallSender calls a sender, or the function of entsignal.Each. A panic becomes its
// error, also a panic of the error's own methods, which the bus will call.
func CallSender(send func() error) error {
	_, err := Call(func() (struct{}, error) {
		err := send()
		if err != nil {
			_ = err.Error()
			_ = errors.As(err, new(*mark.Unavailable))
		}
		return struct{}{}, err
	})
	return err
}

// PanicError is a panic. Its text doesn't contain the stack, which is only logged.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value of the panic if it was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Logger returns a logger that writes to l. If the handler of l panics, it calls
// panicked instead.
func Logger(l *slog.Logger, panicked func(context.Context, error)) *slog.Logger {
	return slog.New(&logHandler{l.Handler(), panicked})
}

type logHandler struct {
	slog.Handler
	panicked func(context.Context, error)
}

// Enabled implements [slog.Handler].
func (h *logHandler) Enabled(ctx context.Context, level slog.Level) (enabled bool) {
	h.guard(ctx, func() { enabled = h.Handler.Enabled(ctx, level) })
	return enabled
}

// Handle implements [slog.Handler].
func (h *logHandler) Handle(ctx context.Context, r slog.Record) (err error) {
	h.guard(ctx, func() { err = h.Handler.Handle(ctx, r) })
	return err
}

// WithAttrs implements [slog.Handler].
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func() slog.Handler { return h.Handler.WithAttrs(attrs) })
}

// WithGroup implements [slog.Handler].
func (h *logHandler) WithGroup(name string) slog.Handler {
	return h.with(func() slog.Handler { return h.Handler.WithGroup(name) })
}

// with returns the handler that derive returns, or h if derive panics.
func (h *logHandler) with(derive func() slog.Handler) slog.Handler {
	derived := &logHandler{h.Handler, h.panicked}
	h.guard(context.Background(), func() { derived.Handler = derive() })
	return derived
}

func (h *logHandler) guard(ctx context.Context, f func()) {
	if err := Do(f); err != nil {
		h.panicked(ctx, fmt.Errorf("the log handler: %w", err))
	}
}
