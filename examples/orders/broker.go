package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// The topology: every message of the exchange about a placed order is kept by
// the queue. All of it survives a restart of the broker.
const (
	exchange   = "orders"
	routingKey = "placed"
	queue      = "orders.placed"
)

// declare creates the exchange, the queue and the binding.
func declare(ctx context.Context) error {
	conn, err := dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	const durable, autoDelete, internal, exclusive, noWait = true, false, false, false, false
	if err := ch.ExchangeDeclare(exchange, amqp.ExchangeDirect, durable, autoDelete, internal, noWait, nil); err != nil {
		return fmt.Errorf("declare the exchange: %w", err)
	}
	if _, err := ch.QueueDeclare(queue, durable, autoDelete, exclusive, noWait, nil); err != nil {
		return fmt.Errorf("declare the queue: %w", err)
	}
	if err := ch.QueueBind(queue, routingKey, exchange, noWait, nil); err != nil {
		return fmt.Errorf("bind the queue: %w", err)
	}
	return nil
}

// dialTimeout bounds connecting, from the first packet to the login.
const dialTimeout = 5 * time.Second

// dial connects to the broker that AMQP_URL names.
func dial(ctx context.Context) (*amqp.Connection, error) {
	url, err := required("AMQP_URL")
	if err != nil {
		return nil, err
	}
	// A password with a bare / ? or # in it would be taken apart into host and
	// vhost. Neither this error nor that of an unknown host may be shown.
	_, rest, _ := strings.Cut(url, "://")
	end := strings.IndexAny(rest, "/?#")
	if _, err := amqp.ParseURI(url); err != nil || end >= 0 && strings.Contains(rest[end:], "@") {
		return nil, errBadURL
	}
	conn, err := amqp.DialConfig(url, amqp.Config{
		Heartbeat: 5 * time.Second,
		Dial: func(network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			// amqp091-go lifts it after the login.
			return conn, conn.SetDeadline(time.Now().Add(dialTimeout))
		},
	})
	if err != nil {
		return nil, fmt.Errorf("connect to the broker: %w", err)
	}
	return conn, nil
}

var errBadURL = errors.New("AMQP_URL: want amqp://user:password@host:port/vhost, with special characters percent-encoded")
