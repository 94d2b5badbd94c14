package rabbitmq

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/internal/faultproxy"
	"github.com/entsignal/signalbus/internal/testlog"
)

// twoNodes returns two ways to the broker, which stand for two nodes.
func twoNodes(t *testing.T) (a, b *faultproxy.Proxy, rawURL string) {
	t.Helper()
	a, rawURL = newProxy(t)
	b, _ = newProxy(t)
	return a, b, rawURL
}

const noOne = "127.0.0.1:1"

func TestNextNodeIsTriedWhenOneIsDead(t *testing.T) {
	t.Parallel()
	a, b, rawURL := twoNodes(t)
	admin := newAdmin(t)
	queue := admin.queue(nil)
	var log testlog.Log
	p := newPublisher(t, rawURL, WithAddresses(b.Addr()), WithLogger(log.Logger()))
	require.NoError(t, p.Publish(t.Context(), to(queue, "1")))
	assert.EqualValues(t, 1, a.Accepted())
	assert.Zero(t, b.Accepted(), "the URL's goes first")

	a.Redirect(noOne) // it stays dead
	a.Cut()
	publish := func(id string) {
		t.Helper()
		require.Eventually(t, func() bool { return p.Publish(t.Context(), to(queue, id)) == nil }, 30*time.Second, time.Millisecond)
	}
	publish("2")
	assert.EqualValues(t, 1, b.Accepted())

	// None is preferred: when that one dies too, the first is back.
	tried := a.Accepted()
	a.Redirect(host(t, brokerURL(t)))
	publish("3")
	assert.Equal(t, tried, a.Accepted(), "nobody goes back without need")
	b.Redirect(noOne)
	b.Cut()
	publish("4")
	assert.Equal(t, []string{"1", "2", "3", "4"}, admin.takeIDs(queue))
	assert.Contains(t, log.String(), "rabbitmq: connected\" address="+b.Addr())
}

func host(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	require.NoError(t, err)
	return u.Host
}

// A node that is there and answers nothing is left after the dial timeout, and the
// next attempt begins with another one.
func TestNodeThatAnswersNothingIsLeft(t *testing.T) {
	t.Parallel()
	a, b, rawURL := twoNodes(t)
	admin := newAdmin(t)
	queue := admin.queue(nil)
	a.BlackHole(true)
	p := newPublisher(t, rawURL, WithAddresses(b.Addr()), WithDialTimeout(3*time.Second))
	require.NoError(t, p.Publish(t.Context(), to(queue, "1")))
	assert.EqualValues(t, 1, b.Accepted())
}

func TestPublisherOfNodesThatAreAllDeadSaysSoForEach(t *testing.T) {
	t.Parallel()
	var log testlog.Log
	p := newPublisher(t, "amqp://u:s3cret@127.0.0.1:1/", WithAddresses("127.0.0.1:2", "[::1]:3"), WithLogger(log.Logger()))
	err := p.Publish(t.Context(), to("q", "1"))
	for _, addr := range []string{"127.0.0.1:1", "127.0.0.1:2", "[::1]:3"} {
		require.ErrorContains(t, err, "node "+addr+": connect: ")
	}
	assert.Equal(t, 1, log.Count("rabbitmq: can't connect"))
	assert.NotContains(t, err.Error()+log.String(), "s3cret")
}

func TestSeveralConnectionsBeginAtDifferentNodes(t *testing.T) {
	t.Parallel()
	_, b, rawURL := twoNodes(t)
	p := newPublisher(t, rawURL, WithAddresses(b.Addr()), WithConnections(3))
	assert.Equal(t, []int{0, 1, 0}, []int{p.links[0].route.at, p.links[1].route.at, p.links[2].route.at})
}

func TestAddressesGetWhatTheURLSays(t *testing.T) {
	t.Parallel()
	nodes := func(raw string, opts ...Option) (addrs []string) {
		p, err := NewPublisher(raw, opts...)
		require.NoError(t, err)
		defer func() { require.NoError(t, p.Close(context.Background())) }()
		for _, n := range p.broker.nodes {
			addrs = append(addrs, n.addr)
		}
		return addrs
	}
	assert.Equal(t, []string{"a:5672", "b:5672", "c:5673"}, nodes("amqp://u:p@a/v", WithAddresses("b", "c:5673")))
	assert.Equal(t, []string{"a:5671", "b:5671"}, nodes("amqps://u:p@a/", WithAddresses("b"), WithTLSConfig(&tls.Config{})))
	for i, bad := range []string{"", "amqp://u:s3cret@b", "u:s3cret@b", "b:port", "b:0", "b:70000", ":5672", "b/v"} {
		_, err := NewPublisher("amqp://u:p@a/", WithAddresses(bad))
		require.ErrorContains(t, err, "rabbitmq: WithAddresses: ", fmt.Sprint(i))
		assert.NotContains(t, err.Error(), "s3cret")
	}
}

func TestClearTextToAnotherMachineIsLoggedForEachNode(t *testing.T) {
	t.Parallel()
	var log testlog.Log
	p := newPublisher(t, "amqp://guest:guest@localhost/", WithAddresses("b.example.com"), WithLogger(log.Logger()))
	_ = p
	assert.Equal(t, 1, log.Count("in clear text"))
	assert.Contains(t, log.String(), "b.example.com:5672")
}
func TestConsumerGoesOnAtAnotherNode(t *testing.T) {
	t.Parallel()
	a, b, rawURL := twoNodes(t)
	admin := newAdmin(t)
	queue := admin.shared("classic", nil)
	admin.put(queue, "1")
	got := make(chan string, 10)
	c := consume(t, rawURL, queue, func(_ context.Context, d Delivery) error {
		got <- d.MessageID
		return nil
	}, WithAddresses(b.Addr()))
	assert.Equal(t, "1", next(t, got))
	assert.Zero(t, b.Accepted(), "the URL's goes first")
	a.Redirect(noOne) // it stays dead
	a.Cut()
	admin.put(queue, "2")
	for next(t, got) != "2" { // the acknowledgement of 1 may have been lost
	}
	assert.Positive(t, b.Accepted())
	c.says("rabbitmq: consuming\" queue=" + queue + " address=" + b.Addr())
}

func TestConsumerBeginsAtTheNodeThatLives(t *testing.T) {
	t.Parallel()
	a, b, rawURL := twoNodes(t)
	a.Redirect(noOne)
	admin := newAdmin(t)
	queue := admin.shared("classic", nil)
	admin.put(queue, "1")
	got := make(chan string, 10)
	c := consume(t, rawURL, queue, func(_ context.Context, d Delivery) error {
		got <- d.MessageID
		return nil
	}, WithAddresses(b.Addr()))
	assert.Equal(t, "1", next(t, got))
	assert.Positive(t, a.Accepted(), "the URL's goes first")
	require.NoError(t, c.stop())
	admin.awaitReady(queue, 0)
}
