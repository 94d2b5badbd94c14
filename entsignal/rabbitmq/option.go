package rabbitmq

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/entsignal/signalbus/internal/foreign"
)

// An Option changes a [Publisher]. [NewPublisher] returns the error of an
// option whose value it can't use.
type Option func(*config) error

type config struct {
	appID          string
	connectionName string
	connections    int
	log            *slog.Logger
	dialTimeout    time.Duration
	heartbeat      time.Duration
	confirmTimeout time.Duration
	writeTimeout   time.Duration
	tls            *tls.Config
	maxBody        int
	maxHeader      int
}

func newConfig(opts []Option) (*config, error) {
	cfg := &config{
		connectionName: "entsignal",
		connections:    1,
		log:            slog.New(slog.DiscardHandler),
		dialTimeout:    5 * time.Second,
		heartbeat:      5 * time.Second,
		confirmTimeout: 5 * time.Second,
		writeTimeout:   5 * time.Second,
		maxBody:        16 << 20,
		maxHeader:      64 << 10,
	}
	for _, opt := range opts {
		if opt == nil {
			return nil, errors.New("rabbitmq: a nil option")
		}
		if err := opt(cfg); err != nil {
			return nil, err
		}
	}
	return cfg, nil
}

// WithAppID sets the AppID of every message that has none; the default is no
// AppID. A message id made by [Sender] is unique per table only, so consumers
// drop repeats by AppID and MessageID together.
func WithAppID(name string) Option {
	return func(cfg *config) error {
		if err := checkShort(name); err != nil {
			return fmt.Errorf("rabbitmq: WithAppID: %w", err)
		}
		cfg.appID = name
		return nil
	}
}

// WithConnectionName sets the name under which the broker lists the
// connection; the default is "entsignal".
func WithConnectionName(name string) Option {
	return func(cfg *config) error {
		if err := checkShort(name); err != nil {
			return fmt.Errorf("rabbitmq: WithConnectionName: %w", err)
		}
		cfg.connectionName = name
		return nil
	}
}

// WithConnections sets how many connections the publisher may have at once; the
// default is 1. It opens another one when calls of Publish overlap, or when one
// can't be opened. As many as a flush has workers are useful; a classic queue
// gains little from more than two.
func WithConnections(n int) Option {
	return func(cfg *config) error {
		if n < 1 {
			return fmt.Errorf("rabbitmq: WithConnections: %d connections; expected 1 or more", n)
		}
		cfg.connections = n
		return nil
	}
}

// WithLogger sets where changes of the connection are logged; the default is
// nowhere. Messages that couldn't be sent are not logged, Publish returns
// them. Neither credentials nor message bodies are ever logged.
func WithLogger(log *slog.Logger) Option {
	return func(cfg *config) error {
		if log == nil {
			return errors.New("rabbitmq: WithLogger: the logger is nil")
		}
		// A panic of its handler must not end the process; nobody could be told.
		cfg.log = foreign.Logger(log, func(context.Context, error) {})
		return nil
	}
}

// WithDialTimeout bounds the whole of connecting: name lookup, TCP, TLS and
// login. The default is 5 s. It replaces a connection_timeout in the URL.
// RabbitMQ answers a wrong password only after 3 s.
func WithDialTimeout(d time.Duration) Option {
	return duration("WithDialTimeout", d, time.Millisecond, func(cfg *config) { cfg.dialTimeout = d })
}

// WithHeartbeat sets after how long the two sides ask whether the other still
// lives, in whole seconds; the default is 5 s. A dead peer is noticed after
// up to one and a half times as long. A heartbeat in the URL wins over it.
func WithHeartbeat(d time.Duration) Option {
	return duration("WithHeartbeat", d, time.Second, func(cfg *config) { cfg.heartbeat = d })
}

// WithConfirmTimeout bounds the wait for the confirms of the messages that
// were published together, and for any other answer of the broker; the
// default is 5 s. It holds also when the context of Publish has no deadline.
// Keep it below the time after which the database ends an idle transaction.
func WithConfirmTimeout(d time.Duration) Option {
	return duration("WithConfirmTimeout", d, time.Millisecond, func(cfg *config) { cfg.confirmTimeout = d })
}

// WithWriteTimeout bounds each write to the socket; the default is 5 s. A
// write that takes longer ends the connection. The context of Publish can't
// end a write.
func WithWriteTimeout(d time.Duration) Option {
	return duration("WithWriteTimeout", d, time.Millisecond, func(cfg *config) { cfg.writeTimeout = d })
}

// WithTLSConfig sets the TLS configuration of an amqps URL; the default
// verifies the broker by the system's roots and asks for TLS 1.2 or later.
// The configuration is copied. With an amqp URL it is an error.
func WithTLSConfig(c *tls.Config) Option {
	return func(cfg *config) error {
		if c == nil {
			return errors.New("rabbitmq: WithTLSConfig: the configuration is nil")
		}
		cfg.tls = c.Clone()
		return nil
	}
}

// WithMaxBodySize sets the largest body in bytes; the default is 16 MiB. A
// larger one is a permanent error of its message. The broker has a limit of
// its own, which it checks only after it has received the whole body.
func WithMaxBodySize(n int) Option {
	return size("WithMaxBodySize", n, func(cfg *config) { cfg.maxBody = n })
}

// WithMaxHeaderSize sets the largest size in bytes of all headers of a message
// as they are encoded; the default is 64 KiB. Larger ones are a permanent
// error of their message. All headers have to fit into one frame, which is
// 128 KiB with the broker's defaults.
func WithMaxHeaderSize(n int) Option {
	return size("WithMaxHeaderSize", n, func(cfg *config) { cfg.maxHeader = n })
}

func duration(name string, d, least time.Duration, set func(*config)) Option {
	return func(cfg *config) error {
		if d < least {
			return fmt.Errorf("rabbitmq: %s: %s is too short, want at least %s", name, d, least)
		}
		set(cfg)
		return nil
	}
}

func size(name string, n int, set func(*config)) Option {
	return func(cfg *config) error {
		if n < 1 {
			return fmt.Errorf("rabbitmq: %s: %d is not a size in bytes", name, n)
		}
		set(cfg)
		return nil
	}
}
