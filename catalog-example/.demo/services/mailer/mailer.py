"""Which mail is sent, and to whom?"""

# Mails of these kinds go out even to customers who want none: the law says so.
REQUIRED = {"invoice", "order-confirmation", "password-changed"}


def may_send(kind, wants_mail):
    """Whether a mail of this kind goes to a customer."""
    return wants_mail or kind in REQUIRED
