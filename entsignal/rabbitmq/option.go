package rabbitmq

import (
	"fmt"
	"time"
)

// An Option configures a [Publisher]; so does each [ConnectionOption]. [NewPublisher]
// returns an error for an option with an invalid value.
type Option interface {
	publisher(cfg *config) error
}

// publisherOption is an option of a publisher alone.
type publisherOption func(*config) error

func (o publisherOption) publisher(cfg *config) error { return o(cfg) }

type config struct {
	connectionConfig
	appID       string
	connections int
	maxBody     int
	maxHeader   int
}

func newConfig(opts []Option) (*config, error) {
	cfg := &config{
		connectionConfig: newConnectionConfig(),
		connections:      1,
		maxBody:          16 << 20,
		maxHeader:        64 << 10,
	}
	for _, opt := range opts {
		if opt == nil {
			return nil, errNilOption
		}
		if err := opt.publisher(cfg); err != nil {
			return nil, err
		}
	}
	return cfg, nil
}

// WithAppID sets the AppID of every message that has none. By default there is no
// AppID. Set it, because the message id that [Sender] makes is unique per table
// only, and consumers should drop repeats by AppID and MessageID together.
func WithAppID(name string) Option {
	return publisherOption(func(cfg *config) error {
		if err := checkShort(name); err != nil {
			return fmt.Errorf("rabbitmq: WithAppID: %w", err)
		}
		cfg.appID = name
		return nil
	})
}

// WithConnections sets the maximum number of connections. The default is 1. The
// publisher opens another one if calls of Publish overlap, or if one can't be
// opened. A flush can use as many as it has workers. A classic queue gains little
// from more than two.
func WithConnections(n int) Option {
	return publisherOption(func(cfg *config) error {
		if n < 1 {
			return fmt.Errorf("rabbitmq: WithConnections: %d connections; expected 1 or more", n)
		}
		cfg.connections = n
		return nil
	})
}

// WithConfirmTimeout limits the wait for the confirms of messages that were
// published together, and for any other answer of the broker. The default is 5 s.
// It applies even if the context of Publish has no deadline. Keep it below the time
// after which the database ends idle transactions.
func WithConfirmTimeout(d time.Duration) Option {
	return publisherOption(func(cfg *config) error {
		return checkDuration("WithConfirmTimeout", d, time.Millisecond, &cfg.answerTimeout)
	})
}

// WithMaxBodySize sets the maximum size of a body in bytes. The default is 16 MiB.
// A larger body is a permanent error of its message. The broker has a limit of its
// own, but checks it only after it has received the whole body.
func WithMaxBodySize(n int) Option {
	return size("WithMaxBodySize", n, func(cfg *config) { cfg.maxBody = n })
}

// WithMaxHeaderSize sets the maximum encoded size of all headers of a message, in
// bytes. The default is 64 KiB. Larger headers are a permanent error of their
// message. All headers must fit into one frame, which is 128 KiB with the broker's
// defaults.
func WithMaxHeaderSize(n int) Option {
	return size("WithMaxHeaderSize", n, func(cfg *config) { cfg.maxHeader = n })
}

func size(name string, n int, set func(*config)) Option {
	return publisherOption(func(cfg *config) error {
		if n < 1 {
			return fmt.Errorf("rabbitmq: %s: %d is not a size in bytes", name, n)
		}
		set(cfg)
		return nil
	})
}
