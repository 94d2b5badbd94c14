package engine

import (
	"context"
	"errors"
	"log/slog"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/foreign"
)

// The bus calls code of the application: senders, the error handler, the log
// handler, and methods of their errors. Where it panics the bus goes on: by
// then a commit has succeeded, or a goroutine of the bus would end the process.
// What waits for a database too, such as the queries of With, is called by
// [budget.Do], which sees to the same.

// report tells an error that no caller gets. That a broker is away was logged
// when it was noticed, and is not logged for each commit.
func (e *Engine) report(ctx context.Context, err error) {
	if !entsignal.IsUnavailable(err) {
		e.logFailure(ctx, "autoflush failed, signals stay pending", err)
	}
	if p := foreign.Do(func() { e.handle(ctx, err) }); p != nil {
		e.logFailure(ctx, "the error handler has panicked", p)
	}
}

// logFailure logs an error, with the stack if it was a panic.
func (e *Engine) logFailure(ctx context.Context, message string, err error) {
	args := []any{slog.Any("error", err)}
	var p *foreign.PanicError
	if errors.As(err, &p) {
		args = append(args, slog.String("stack", string(p.Stack)))
	}
	e.log.ErrorContext(ctx, message, args...)
}

// logHandlerPanicked tells the error handler. If that panics too, there is
// nobody left to tell.
func (e *Engine) logHandlerPanicked(ctx context.Context, err error) {
	_ = foreign.Do(func() { e.handle(ctx, err) })
}

// reportOnce reports an error that repeats with each commit.
func (e *Engine) reportOnce(ctx context.Context, err error) {
	if e.logged.first(err.Error()) {
		e.report(context.WithoutCancel(ctx), err)
	}
}
