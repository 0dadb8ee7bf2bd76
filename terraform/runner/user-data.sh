# A placeholder of the script that an instance runs at its first boot.
echo "stoker: there is no boot script" >&2
shutdown -h now
