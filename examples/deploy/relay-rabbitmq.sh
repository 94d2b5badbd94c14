#!/bin/sh
# The RabbitMQ user of a process that only flushes, here of the service orders:
# it publishes to the exchange "orders", and can neither declare, bind nor read
# anything. It asks for the password; a command line would show it to everybody.
set -eu

rabbitmqctl add_user relay
# What it may configure, write and read, as regular expressions over the names
# of exchanges and queues.
rabbitmqctl set_permissions --vhost / relay '^$' '^orders$' '^$'
