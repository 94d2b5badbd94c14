package rabbitmq

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/entsignal/signalbus/internal/foreign"
)

// An Option configures a [Publisher]. [NewPublisher] returns an error for an option
// with an invalid value.
type Option func(*config) error

type config struct {
	appID          string
	connectionName string
	connections    int
	addresses      []string
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

// WithAppID sets the AppID of every message that has none. By default there is no
// AppID. Set it, because the message id that [Sender] makes is unique per table
// only, and consumers should drop repeats by AppID and MessageID together.
func WithAppID(name string) Option {
	return func(cfg *config) error {
		if err := checkShort(name); err != nil {
			return fmt.Errorf("rabbitmq: WithAppID: %w", err)
		}
		cfg.appID = name
		return nil
	}
}

// WithConnectionName sets the name under which the broker lists the connection. The
// default is "entsignal".
func WithConnectionName(name string) Option {
	return func(cfg *config) error {
		if err := checkShort(name); err != nil {
			return fmt.Errorf("rabbitmq: WithConnectionName: %w", err)
		}
		cfg.connectionName = name
		return nil
	}
}

// WithConnections sets the maximum number of connections. The default is 1. The
// publisher opens another one if calls of Publish overlap, or if one can't be
// opened. A flush can use as many as it has workers. A classic queue gains little
// from more than two.
func WithConnections(n int) Option {
	return func(cfg *config) error {
		if n < 1 {
			return fmt.Errorf("rabbitmq: WithConnections: %d connections; expected 1 or more", n)
		}
		cfg.connections = n
		return nil
	}
}

// WithAddresses adds other nodes of the cluster that the URL leads to, each as
// host:port, or as a host with the port of the URL. They get the credentials, the
// vhost and the TLS settings of the URL. When a connection is lost or can't be made
// the next node is tried, at once, and the first that answers is kept: none of them is
// preferred. Several connections (see [WithConnections]) begin at different nodes. By
// default there is the host of the URL alone.
//
// A message survives a node that stays dead if its queue does: a quorum queue, or a
// stream.
func WithAddresses(addresses ...string) Option {
	return func(cfg *config) error {
		for i, address := range addresses {
			// It may be a URL with a password, so it isn't repeated.
			if address == "" || strings.ContainsAny(address, "/@?# \t\r\n") {
				return fmt.Errorf("rabbitmq: WithAddresses: the address number %d is invalid; want host:port, such as b.example.com:5672", i+1)
			}
		}
		cfg.addresses = append(cfg.addresses, addresses...)
		return nil
	}
}

// WithLogger sets the logger for changes of the connection. By default nothing is
// logged. Messages that couldn't be sent are not logged, because Publish returns
// their errors. Credentials and message bodies are never logged.
func WithLogger(log *slog.Logger) Option {
	return func(cfg *config) error {
		if log == nil {
			return errors.New("rabbitmq: WithLogger: the logger is nil")
		}
		// A panic of its handler must not end the process. It can't be reported anywhere.
		cfg.log = foreign.Logger(log, func(context.Context, error) {})
		return nil
	}
}

// WithDialTimeout limits connecting as a whole: name lookup, TCP, TLS and login.
// The default is 5 s. It overrides connection_timeout in the URL. Note that
// RabbitMQ answers a wrong password only after 3 s.
func WithDialTimeout(d time.Duration) Option {
	return duration("WithDialTimeout", d, time.Millisecond, func(cfg *config) { cfg.dialTimeout = d })
}

// WithHeartbeat sets the interval of heartbeats between publisher and broker, in
// whole seconds. The default is 5 s. A dead peer is noticed after up to one and a
// half intervals. A heartbeat in the URL overrides this option.
func WithHeartbeat(d time.Duration) Option {
	return duration("WithHeartbeat", d, time.Second, func(cfg *config) { cfg.heartbeat = d })
}

// WithConfirmTimeout limits the wait for the confirms of messages that were
// published together, and for any other answer of the broker. The default is 5 s.
// It applies even if the context of Publish has no deadline. Keep it below the time
// after which the database ends idle transactions.
func WithConfirmTimeout(d time.Duration) Option {
	return duration("WithConfirmTimeout", d, time.Millisecond, func(cfg *config) { cfg.confirmTimeout = d })
}

// WithWriteTimeout limits each write to the socket. The default is 5 s. A write
// that takes longer ends the connection. The context of Publish can't interrupt a
// write.
func WithWriteTimeout(d time.Duration) Option {
	return duration("WithWriteTimeout", d, time.Millisecond, func(cfg *config) { cfg.writeTimeout = d })
}

// WithTLSConfig sets the TLS configuration for an amqps URL. By default the broker
// is verified with the system's root certificates, and TLS 1.2 or later is
// required. The configuration is copied. With an amqp URL it is an error.
func WithTLSConfig(c *tls.Config) Option {
	return func(cfg *config) error {
		if c == nil {
			return errors.New("rabbitmq: WithTLSConfig: the configuration is nil")
		}
		cfg.tls = c.Clone()
		return nil
	}
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
