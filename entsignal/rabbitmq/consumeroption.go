package rabbitmq

import (
	"fmt"
	"math"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/backoff"
)

// A ConsumerOption changes a [Consumer]; each [ConnectionOption] is one.
// [NewConsumer] returns the error of an option whose value it can't use.
type ConsumerOption interface {
	consumer(cfg *consumerConfig) error
}

// consumerOption is an option of a consumer alone.
type consumerOption func(*consumerConfig) error

func (o consumerOption) consumer(cfg *consumerConfig) error { return o(cfg) }

type consumerConfig struct {
	connectionConfig
	prefetch       int
	workers        int // 0: as many as the prefetch
	maxDeliveries  int
	pause          backoff.Doubling
	handlerTimeout time.Duration
	stopTimeout    time.Duration
	middleware     []func(Handler) Handler // the outermost first
	observers      []entsignal.Observer
}

func newConsumerConfig(opts []ConsumerOption) (*consumerConfig, error) {
	cfg := &consumerConfig{
		connectionConfig: newConnectionConfig(),
		prefetch:         20,
		maxDeliveries:    20,
		pause:            backoff.Doubling{Min: 100 * time.Millisecond, Max: 10 * time.Second, Jitter: 0.2},
		handlerTimeout:   time.Minute,
		stopTimeout:      15 * time.Second,
	}
	for _, opt := range opts {
		if opt == nil {
			return nil, errNilOption
		}
		if err := opt.consumer(cfg); err != nil {
			return nil, err
		}
	}
	if cfg.workers > cfg.prefetch {
		return nil, fmt.Errorf("rabbitmq: WithWorkers: %d workers get no more than the %d deliveries of the prefetch; set WithPrefetch too",
			cfg.workers, cfg.prefetch)
	}
	if cfg.workers == 0 {
		cfg.workers = cfg.prefetch
	}
	return cfg, nil
}

// WithPrefetch sets how many deliveries the consumer holds at once, from 1 to 65535:
// those that handlers work on, those that wait for a handler, and those that failed and
// wait for their pause to end. The default is 20. With several consumers on a queue, a
// small prefetch shares the messages evenly.
func WithPrefetch(n int) ConsumerOption {
	return consumerOption(func(cfg *consumerConfig) error {
		if n < 1 || n > math.MaxUint16 {
			return fmt.Errorf("rabbitmq: WithPrefetch: %d deliveries; expected 1 to %d", n, math.MaxUint16)
		}
		cfg.prefetch = n
		return nil
	})
}

// WithWorkers sets how many handlers run at once, at most as many as the prefetch; the
// default is the prefetch. With 1, messages are handled one after the other, in the
// order of the queue until one fails: a message that goes back comes behind those that
// the consumer already holds. With a prefetch of 1 it holds no other, and a classic queue
// delivers that message again first; a quorum queue puts it at the end.
func WithWorkers(n int) ConsumerOption {
	return consumerOption(func(cfg *consumerConfig) error {
		if n < 1 {
			return fmt.Errorf("rabbitmq: WithWorkers: %d workers; expected 1 or more", n)
		}
		cfg.workers = n
		return nil
	})
}

// WithMaxDeliveries sets how often a message is delivered: when its handler fails in
// the last of them, the message is rejected. The default is 20.
// [Delivery.Deliveries] says what is counted.
func WithMaxDeliveries(n int) ConsumerOption {
	return consumerOption(func(cfg *consumerConfig) error {
		if n < 1 {
			return fmt.Errorf("rabbitmq: WithMaxDeliveries: %d deliveries; expected 1 or more", n)
		}
		cfg.maxDeliveries = n
		return nil
	})
}

// WithRedeliveryPause sets how long a message whose handler failed waits before it goes
// back to the queue: least the first time, then twice as long each time, up to most,
// less up to a fifth at random. The defaults are 100 ms and 10 s. The broker would
// deliver it again at once. Meanwhile the message keeps its place in the prefetch, but
// occupies no worker. 20 deliveries take about two minutes with the defaults.
func WithRedeliveryPause(least, most time.Duration) ConsumerOption {
	return consumerOption(func(cfg *consumerConfig) error {
		if least < time.Millisecond || most < least {
			return fmt.Errorf("rabbitmq: WithRedeliveryPause: from %s to %s; expected at least 1ms, and the longest last", least, most)
		}
		cfg.pause.Min, cfg.pause.Max = least, most
		return nil
	})
}

// WithHandlerTimeout sets after how long the context of a handler ends; the default is
// 1 minute. A handler that ignores that occupies its worker until it returns. Keep it
// below the broker's consumer_timeout (30 minutes by default), after which the broker
// closes the channel and delivers everything again that the consumer holds.
func WithHandlerTimeout(d time.Duration) ConsumerOption {
	return consumerOption(func(cfg *consumerConfig) error {
		return checkDuration("WithHandlerTimeout", d, time.Millisecond, &cfg.handlerTimeout)
	})
}

// WithStopTimeout sets how long [Consumer.Run] waits for the running handlers when its
// context has ended; the default is 15 s. Then their contexts end too, and Run waits
// once more as long as for an answer of the broker ([WithAnswerTimeout]).
func WithStopTimeout(d time.Duration) ConsumerOption {
	return consumerOption(func(cfg *consumerConfig) error {
		return checkDuration("WithStopTimeout", d, time.Millisecond, &cfg.stopTimeout)
	})
}

// WithAnswerTimeout bounds the wait for each answer of the broker to a [Consumer]; the
// default is 5 s. A connection that takes longer is closed and replaced.
func WithAnswerTimeout(d time.Duration) ConsumerOption {
	return consumerOption(func(cfg *consumerConfig) error {
		return checkDuration("WithAnswerTimeout", d, time.Millisecond, &cfg.answerTimeout)
	})
}
