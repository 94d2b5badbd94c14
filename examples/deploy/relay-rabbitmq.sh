#!/bin/sh
# The RabbitMQ user of a process that only flushes, here of the service orders:
# it can publish to the exchange "orders", and can't declare, bind or read anything.
# The script asks for the password, which every user could read on a command line.
set -eu

rabbitmqctl add_user relay
# What it may configure, write and read: regular expressions for the names of
# exchanges and queues.
rabbitmqctl set_permissions --vhost / relay '^$' '^orders$' '^$'
