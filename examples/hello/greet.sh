#!/bin/sh
echo "This image was built by the farm. It says:"
sed 's/^/  /' /usr/share/greetings.txt
