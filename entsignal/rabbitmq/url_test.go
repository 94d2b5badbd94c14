package rabbitmq

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/entsignal/signalbus/internal/testlog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnusableURLIsRefusedWithoutShowingIt(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", " ", "s3cret", "http://u:s3cret@h", "AMQP//u:s3cret@h", "amqp:u:s3cret@h", "amqp://u:s3c%ret@h/", "amqp://u:s3#cret@h",
		"amqp://u:123#s3cret@h", "amqp://u:123/s3cret@h", "amqp://u:123?s3cret@h", "amqp://u:s3cret/@h", "amqp://u:s3cret#",
		"amqp://u:s3cret@h:port", "amqp://u:s3cret@h:99999", "amqp://u:s3cret@h:0", "amqp://u:s3 cret@h", "amqp://u:s3cret@h\n",
		"amqp://u:s3cret@h/?heartbeat=99999", "amqp://u:s3cret@h/?heartbeat=s3cret", "amqp://u:s3cret@h/?channel_max=-1",
		"amqp://u:s3cret@h/?connection_timeout=x", "amqp://u:s3cret@h/?auth_mechanism=s3cret", "amqp://u:s3cret@[::1/",
		"amqp://u:a@s3cret/b@h", "amqp://u:a@s3cret?b@h", "amqp://u:a@s3cret#b@h", "amqp://u:a@s3cret?heartbeat=5&b@h",
	} {
		var log testlog.Log
		_, err := NewPublisher(url, WithLogger(log.Logger()))
		require.Error(t, err, url)
		assert.Regexp(t, "^rabbitmq: the broker URL .*want amqp://", err.Error())
		for _, secret := range []string{"s3c", "cret", "123", "99999"} {
			assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err)+log.String(), secret)
		}
	}
}

// A URL is refused without a word of it, or it leads where its host says: no
// piece of a password is taken for the host or the port, which are logged.
func FuzzBrokerURL(f *testing.F) {
	for _, s := range []string{
		"s3cret", "a@b", "a/b", "a@b/c", "a?b", "a#b", "a@b?c=d", "a%b", "a b", "[", ":1/", "@other:5672/", "\\", "a%2Fb",
	} {
		f.Add(s, "amqp://localhost")
	}
	for _, url := range []string{
		"amqps://u:s3cret@h:5671/v?heartbeat=5&auth_mechanism=external", "amqp://[::1]:5672/%2f", "amqp://h?channel_max=s3cret", "http://h",
	} {
		f.Add("", url)
	}
	refusals := map[string]bool{}
	for _, why := range []string{
		"is empty", "contains white space", "doesn't begin with amqp:// or amqps://", "can't be parsed", "has a port out of range",
		"has a port, heartbeat, connection_timeout or channel_max that is not a number in range",
		"has an auth_mechanism other than plain, amqplain and external",
	} {
		refusals["rabbitmq: the broker URL "+why] = true
	}
	f.Fuzz(func(t *testing.T, password, url string) {
		for _, url := range []string{url, "amqp://user:" + password + "@broker.example:5673/shop"} {
			uri, err := checkURL(url)
			if err != nil {
				why, _, _ := strings.Cut(err.Error(), ";")
				assert.True(t, refusals[why], "%q: %v", url, err)
				continue
			}
			assert.Contains(t, []string{"amqp", "amqps"}, uri.Scheme)
			assert.True(t, uri.Port >= 1 && uri.Port <= 65535, "port %d", uri.Port)
			if strings.HasPrefix(url, "amqp://user:"+password+"@") {
				assert.Equal(t, "broker.example", uri.Host, "%q", url)
				assert.Equal(t, 5673, uri.Port)
			}
		}
	})
}

func TestPublisherAndItsErrorsDontShowThePassword(t *testing.T) {
	t.Parallel()
	var log testlog.Log
	p := newPublisher(t, "amqp://user:s3cret@127.0.0.1:1/vhost", WithLogger(log.Logger()))
	err := p.Publish(t.Context(), to("q", "1"))
	require.Error(t, err)
	assert.NotContains(t, fmt.Sprintf("%v %+v", p, p)+err.Error()+log.String(), "s3cret")
}

func TestClearTextToAnotherMachineIsWarnedOf(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{
		"amqp://u:p@broker.example": true, "amqp://u:p@10.0.0.1:5672/v": true,
		"amqps://u:p@broker.example": false, "amqp://localhost": false, "amqp://127.0.0.9": false, "amqp://[::1]:5672": false, "amqp://": false,
	} {
		var log testlog.Log
		p, err := NewPublisher(url, WithLogger(log.Logger()))
		require.NoError(t, err)
		require.NoError(t, p.Close(context.Background()))
		assert.Equal(t, want, log.String() != "", "%s: %s", url, log.String())
	}
}

func TestUnusableOptionsAreRefused(t *testing.T) {
	t.Parallel()
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
