# A shell and the usual tools, for pods that do something by script: `sh -c ...`.
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN ["/bin/busybox", "mkdir", "-p", "/tmp"]
CMD ["/bin/sh"]
