package rabbitmq

import (
	"context"
	"errors"
	"fmt"

	"github.com/entsignal/signalbus/internal/foreign"
)

// A Handler handles one delivery. [NewConsumer] says what becomes of the message.
type Handler func(ctx context.Context, d Delivery) error

// WithMiddleware wraps the handler of a [Consumer], for what is to happen around each
// delivery: a span, a metric, a deadline. The first of several is the outermost, also
// over several uses of the option. By default there is none.
//
// A middleware sees each delivery that reaches a worker, and what next returns; a panic
// of the handler, and of an inner middleware, is an error there. It may pass on another
// context, made from its own. What it returns decides what becomes of the message, so
// it should return the error of next. It runs before the message is settled, and within
// the time of [WithHandlerTimeout].
func WithMiddleware(middleware ...func(next Handler) Handler) ConsumerOption {
	return consumerOption(func(cfg *consumerConfig) error {
		for i, m := range middleware {
			if m == nil {
				return fmt.Errorf("rabbitmq: WithMiddleware: the middleware number %d is nil", i+1)
			}
		}
		cfg.middleware = append(cfg.middleware, middleware...)
		return nil
	})
}

// wrap returns handle within the middleware.
func (cfg *consumerConfig) wrap(handle Handler) (Handler, error) {
	handle = guard(handle)
	for i := len(cfg.middleware) - 1; i >= 0; i-- {
		if handle = cfg.middleware[i](handle); handle == nil {
			return nil, errors.New("rabbitmq: WithMiddleware: a middleware returns a nil handler")
		}
		handle = guard(handle)
	}
	return handle, nil
}

// guard makes an error of a panic.
func guard(handle Handler) Handler {
	return func(ctx context.Context, d Delivery) error {
		return foreign.CallSender(func() error { return handle(ctx, d) })
	}
}
