"""The Java Card runtime: applets in Python, under the names of `javacard.framework`.

A method is Java's name in snake case: `setIncomingAndReceive` is `set_incoming_and_receive`.
"""

from cardbench.emulator.javacard.aid import AID
from cardbench.emulator.javacard.apdu import APDU, ApduState
from cardbench.emulator.javacard.applet import Applet, AppletEvent, ExtendedLength, MultiSelectable
from cardbench.emulator.javacard.arrays import (
    BooleanArray,
    ByteArray,
    Bytes,
    ObjectArray,
    ShortArray,
)
from cardbench.emulator.javacard.exceptions import (
    APDUException,
    ArrayIndexOutOfBoundsException,
    CardException,
    CardRuntimeException,
    ISOException,
    NegativeArraySizeException,
    NullPointerException,
    PINException,
    SecurityException,
    SystemException,
    TransactionException,
    UserException,
)
from cardbench.emulator.javacard.firewall import GlobalArray, Shareable
from cardbench.emulator.javacard.install_data import InstallData
from cardbench.emulator.javacard.jcsystem import JCSystem
from cardbench.emulator.javacard.objects import PersistentObject, transient
from cardbench.emulator.javacard.owner_pin import PIN, OwnerPIN
from cardbench.emulator.javacard.packages import Package
from cardbench.emulator.javacard.primitives import byte, short
from cardbench.emulator.javacard.registry import Instance
from cardbench.emulator.javacard.runtime import JavaCard
from cardbench.emulator.javacard.security import CryptoException, RandomData
from cardbench.emulator.javacard.session import InstallationRefused
from cardbench.emulator.javacard.util import Util
from cardbench.protocol.iso7816 import ISO7816

__all__ = [
    "AID",
    "APDU",
    "ISO7816",
    "PIN",
    "APDUException",
    "ApduState",
    "Applet",
    "AppletEvent",
    "ArrayIndexOutOfBoundsException",
    "BooleanArray",
    "ByteArray",
    "Bytes",
    "CardException",
    "CardRuntimeException",
    "CryptoException",
    "ExtendedLength",
    "GlobalArray",
    "ISOException",
    "InstallData",
    "InstallationRefused",
    "Instance",
    "JCSystem",
    "JavaCard",
    "MultiSelectable",
    "NegativeArraySizeException",
    "NullPointerException",
    "ObjectArray",
    "OwnerPIN",
    "PINException",
    "Package",
    "PersistentObject",
    "RandomData",
    "SecurityException",
    "Shareable",
    "ShortArray",
    "SystemException",
    "TransactionException",
    "UserException",
    "Util",
    "byte",
    "short",
    "transient",
]
