package entsignal

import (
	"context"
	"errors"
	"log/slog"

	"github.com/entsignal/signalbus/internal/foreign"
)

// The bus calls code of the application: senders, the error handler, the log
// handler, and methods of their errors. Where it panics the bus goes on: by
// then a commit has succeeded, or a goroutine of the bus would end the process.
// What waits for a database too, such as the queries of With, is called by
// bounded, which sees to the same.

// callSender calls a sender, or the function of [Each], and makes a panic its
// error; also one of the error itself, which the bus is going to look into.
func callSender(send func() error) error {
	_, err := foreign.Call(func() (struct{}, error) {
		err := send()
		if err != nil {
			_ = err.Error()
			_ = IsUnavailable(err)
		}
		return struct{}{}, err
	})
	return err
}

// report tells an error that no caller gets. That a broker is away was logged
// when it was noticed, and is not logged for each commit.
func (b *Bus) report(ctx context.Context, err error) {
	if !IsUnavailable(err) {
		b.logFailure(ctx, "autoflush failed, signals stay pending", err)
	}
	if p := foreign.Do(func() { b.handle(ctx, err) }); p != nil {
		b.logFailure(ctx, "the error handler has panicked", p)
	}
}

// logFailure logs an error, with the stack if it was a panic.
func (b *Bus) logFailure(ctx context.Context, message string, err error) {
	args := []any{slog.Any("error", err)}
	var p *foreign.PanicError
	if errors.As(err, &p) {
		args = append(args, slog.String("stack", string(p.Stack)))
	}
	b.log.ErrorContext(ctx, message, args...)
}

// logHandlerPanicked tells the error handler. If that panics too, there is
// nobody left to tell.
func (b *Bus) logHandlerPanicked(ctx context.Context, err error) {
	_ = foreign.Do(func() { b.handle(ctx, err) })
}
