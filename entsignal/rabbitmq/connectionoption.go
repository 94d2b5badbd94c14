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

// A ConnectionOption changes how a [Publisher] or a [Consumer] connects.
type ConnectionOption func(*connectionConfig) error

func (o ConnectionOption) publisher(cfg *config) error {
	if o == nil {
		return errNilOption
	}
	return o(&cfg.connectionConfig)
}

func (o ConnectionOption) consumer(cfg *consumerConfig) error {
	if o == nil {
		return errNilOption
	}
	return o(&cfg.connectionConfig)
}

var errNilOption = errors.New("rabbitmq: a nil option")

// connectionConfig is what publishers and consumers have in common.
type connectionConfig struct {
	addresses      []string // of other nodes
	connectionName string
	log            *slog.Logger
	dialTimeout    time.Duration
	heartbeat      time.Duration
	answerTimeout  time.Duration // of every answer of the broker
	writeTimeout   time.Duration
	tls            *tls.Config
}

func newConnectionConfig() connectionConfig {
	return connectionConfig{
		connectionName: "entsignal",
		log:            slog.New(slog.DiscardHandler),
		dialTimeout:    5 * time.Second,
		heartbeat:      5 * time.Second,
		answerTimeout:  5 * time.Second,
		writeTimeout:   5 * time.Second,
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
func WithAddresses(addresses ...string) ConnectionOption {
	return func(cfg *connectionConfig) error {
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

// WithConnectionName sets the name under which the broker lists the connection. The
// default is "entsignal".
func WithConnectionName(name string) ConnectionOption {
	return func(cfg *connectionConfig) error {
		if err := checkShort(name); err != nil {
			return fmt.Errorf("rabbitmq: WithConnectionName: %w", err)
		}
		cfg.connectionName = name
		return nil
	}
}

// WithLogger sets the logger for changes of the connection, and of a consumer also for
// messages whose handler failed. By default nothing is logged. Messages that couldn't be
// sent are not logged, because Publish returns their errors. Credentials and message
// bodies are never logged.
func WithLogger(log *slog.Logger) ConnectionOption {
	return func(cfg *connectionConfig) error {
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
func WithDialTimeout(d time.Duration) ConnectionOption {
	return func(cfg *connectionConfig) error {
		return checkDuration("WithDialTimeout", d, time.Millisecond, &cfg.dialTimeout)
	}
}

// WithHeartbeat sets the interval of heartbeats in whole seconds. The default is 5 s. A
// dead peer is noticed after up to one and a half intervals. A heartbeat in the URL
// overrides this option.
func WithHeartbeat(d time.Duration) ConnectionOption {
	return func(cfg *connectionConfig) error {
		return checkDuration("WithHeartbeat", d, time.Second, &cfg.heartbeat)
	}
}

// WithWriteTimeout limits each write to the socket. The default is 5 s. A write
// that takes longer ends the connection. The context of Publish can't interrupt a
// write.
func WithWriteTimeout(d time.Duration) ConnectionOption {
	return func(cfg *connectionConfig) error {
		return checkDuration("WithWriteTimeout", d, time.Millisecond, &cfg.writeTimeout)
	}
}

// WithTLSConfig sets the TLS configuration for an amqps URL. By default the broker
// is verified with the system's root certificates, and TLS 1.2 or later is
// required. The configuration is copied. With an amqp URL it is an error.
func WithTLSConfig(c *tls.Config) ConnectionOption {
	return func(cfg *connectionConfig) error {
		if c == nil {
			return errors.New("rabbitmq: WithTLSConfig: the configuration is nil")
		}
		cfg.tls = c.Clone()
		return nil
	}
}

// checkDuration sets a duration of an option.
func checkDuration(name string, d, least time.Duration, set *time.Duration) error {
	if d < least {
		return fmt.Errorf("rabbitmq: %s: %s is too short, want at least %s", name, d, least)
	}
	*set = d
	return nil
}
