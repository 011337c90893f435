"""Bounds of SecurityRequest, and what the view looks for without being asked."""

MAX_PATTERNS = 50
MAX_PATTERN_CHARACTERS = 256

# Files with secrets, and sockets of those who may start containers; "*" stands for any characters, "/" among them.
SENSITIVE_PATHS = (
    "/etc/shadow*",
    "/etc/gshadow*",
    "/etc/sudoers",
    "/etc/sudoers.d/*",
    "/etc/pam.d/*",
    "/etc/security/opasswd",
    "/etc/ssh/ssh_host_*_key",
    "/etc/krb5.keytab",
    "*/.ssh/*",
    "*/.aws/credentials",
    "*/.config/gcloud/*",
    "*/.azure/*",
    "*/.kube/config",
    "/etc/kubernetes/*.conf",
    "/etc/kubernetes/pki/*",
    "*/.docker/config.json",
    "*/.netrc",
    "*/.git-credentials",
    "*/.pgpass",
    "*/secrets/kubernetes.io/serviceaccount/*token",
    "/proc/*/environ",
    "/proc/*/mem",
    "/proc/kcore",
    "/dev/mem",
    "/dev/kmem",
    "*/docker.sock",
    "*/containerd.sock",
    "*/crio.sock",
)
# Written, these change what runs later.
CODE_PATHS = (
    "/bin/*",
    "/sbin/*",
    "/lib/*",
    "/lib64/*",
    "/usr/bin/*",
    "/usr/sbin/*",
    "/usr/lib/*",
    "/usr/lib64/*",
    "/usr/local/bin/*",
    "/usr/local/sbin/*",
    "/usr/local/lib/*",
    "/etc/ld.so.preload",
    "/etc/cron*",
    "/var/spool/cron/*",
    "/etc/profile",
    "/etc/profile.d/*",
    "*/.bashrc",
    "*/.profile",
    "*/.ssh/authorized_keys",
)
