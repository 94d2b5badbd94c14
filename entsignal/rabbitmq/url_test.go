package rabbitmq

import (
	"context"
	"crypto/tls"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnusableURLIsRefusedWithoutShowingIt(t *testing.T) {
	for _, url := range []string{
		"", " ", "s3cret", "http://u:s3cret@h", "AMQP//u:s3cret@h", "amqp:u:s3cret@h", "amqp://u:s3c%ret@h/", "amqp://u:s3#cret@h",
		"amqp://u:123#s3cret@h", "amqp://u:123/s3cret@h", "amqp://u:123?s3cret@h", "amqp://u:s3cret/@h", "amqp://u:s3cret#",
		"amqp://u:s3cret@h:port", "amqp://u:s3cret@h:99999", "amqp://u:s3cret@h:0", "amqp://u:s3 cret@h", "amqp://u:s3cret@h\n",
		"amqp://u:s3cret@h/?heartbeat=99999", "amqp://u:s3cret@h/?heartbeat=s3cret", "amqp://u:s3cret@h/?channel_max=-1",
		"amqp://u:s3cret@h/?connection_timeout=x", "amqp://u:s3cret@h/?auth_mechanism=s3cret", "amqp://u:s3cret@[::1/",
	} {
		var log logs
		_, err := NewPublisher(url, log.option())
		require.Error(t, err, url)
		assert.Regexp(t, "^rabbitmq: the broker URL .*want amqp://", err.Error())
		for _, secret := range []string{"s3c", "cret", "123", "99999"} {
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err)+log.String(), secret)
		}
	}
}

func TestPublisherAndItsErrorsDontShowThePassword(t *testing.T) {
	var log logs
	p := newPublisher(t, "amqp://user:s3cret@127.0.0.1:1/vhost", log.option())
	err := p.Publish(t.Context(), to("q", "1"))
	require.Error(t, err)
	assert.NotContains(t, fmt.Sprintf("%v %+v", p, p)+err.Error()+log.String(), "s3cret")
}

func TestClearTextToAnotherMachineIsWarnedOf(t *testing.T) {
	for url, want := range map[string]bool{
		"amqp://u:p@broker.example": true, "amqp://u:p@10.0.0.1:5672/v": true,
		"amqps://u:p@broker.example": false, "amqp://localhost": false, "amqp://127.0.0.9": false, "amqp://[::1]:5672": false, "amqp://": false,
	} {
		var log logs
		p, err := NewPublisher(url, log.option())
		require.NoError(t, err)
		require.NoError(t, p.Close(context.Background()))
		assert.Equal(t, want, log.String() != "", "%s: %s", url, log.String())
	}
}

func TestUnusableOptionsAreRefused(t *testing.T) {
	for name, opt := range map[string]Option{
		"a nil option": nil, "WithAppID": WithAppID(string(make([]byte, 256))), "WithConnectionName": WithConnectionName("\xff"),
		"WithLogger": WithLogger(nil), "WithDialTimeout": WithDialTimeout(0), "WithHeartbeat": WithHeartbeat(time.Millisecond),
		"WithConfirmTimeout": WithConfirmTimeout(-1), "WithWriteTimeout": WithWriteTimeout(0), "WithTLSConfig": WithTLSConfig(nil),
		"WithMaxBodySize": WithMaxBodySize(0), "WithMaxHeaderSize": WithMaxHeaderSize(-1),
		"needs an amqps URL": WithTLSConfig(&tls.Config{}),
	} {
		_, err := NewPublisher("amqp://localhost", opt)
		require.ErrorContains(t, err, name)
		assert.Regexp(t, "^rabbitmq: ", err.Error())
	}
}
