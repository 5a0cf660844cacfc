/* A reader driver for pcscd that is vpcd's, but for attributes: those it answers, with a CCID reader's care.
 *
 * vpcd knows no attribute, so that what the daemon makes of them would never show. Everything else goes
 * straight through to libifdvpcd.so.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <ifdhandler.h>
#include <reader.h>

#define VPCD "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"

static void *real(const char *name) {
    static void *library;
    void *found;

    if (library == NULL)
        library = dlopen(VPCD, RTLD_NOW | RTLD_LOCAL);
    found = library == NULL ? NULL : dlsym(library, name);
    if (found == NULL)
        abort();
    return found;
}

#define FORWARD(name, parameters, arguments)                                                            \
    RESPONSECODE name parameters {                                                                      \
        return ((RESPONSECODE(*) parameters)real(#name)) arguments;                                     \
    }

FORWARD(IFDHCreateChannelByName, (DWORD lun, LPSTR device), (lun, device))
FORWARD(IFDHCreateChannel, (DWORD lun, DWORD channel), (lun, channel))
FORWARD(IFDHCloseChannel, (DWORD lun), (lun))
FORWARD(IFDHSetCapabilities, (DWORD lun, DWORD tag, DWORD length, PUCHAR value), (lun, tag, length, value))
FORWARD(IFDHSetProtocolParameters,
        (DWORD lun, DWORD protocol, UCHAR flags, UCHAR pts1, UCHAR pts2, UCHAR pts3),
        (lun, protocol, flags, pts1, pts2, pts3))
FORWARD(IFDHPowerICC, (DWORD lun, DWORD action, PUCHAR atr, PDWORD length), (lun, action, atr, length))
FORWARD(IFDHTransmitToICC,
        (DWORD lun, SCARD_IO_HEADER send, PUCHAR out, DWORD out_length, PUCHAR in, PDWORD in_length,
         PSCARD_IO_HEADER receive),
        (lun, send, out, out_length, in, in_length, receive))
FORWARD(IFDHICCPresence, (DWORD lun), (lun))
FORWARD(IFDHControl,
        (DWORD lun, DWORD code, PUCHAR out, DWORD out_length, PUCHAR in, DWORD in_length, LPDWORD returned),
        (lun, code, out, out_length, in, in_length, returned))

static RESPONSECODE give(const void *value, DWORD size, PDWORD length, PUCHAR room) {
    if (*length < size) {
        *length = size;
        return IFD_ERROR_INSUFFICIENT_BUFFER;
    }
    *length = size;
    memcpy(room, value, size);
    return IFD_SUCCESS;
}

RESPONSECODE IFDHGetCapabilities(DWORD lun, DWORD tag, PDWORD length, PUCHAR value) {
    static const unsigned char version[] = {0, 0, 0, 1};
    unsigned char presence = IFDHICCPresence(lun) == IFD_ICC_PRESENT ? 2 : 0;
    unsigned char powered = presence / 2;

    switch (tag) {
        case SCARD_ATTR_VENDOR_NAME:
        case SCARD_ATTR_VENDOR_IFD_TYPE:
            return give("cardbench", 10, length, value);
        case SCARD_ATTR_VENDOR_IFD_VERSION:
            return give(version, sizeof version, length, value);
        case SCARD_ATTR_ICC_PRESENCE:
            return give(&presence, 1, length, value);
        case SCARD_ATTR_ICC_INTERFACE_STATUS:
            return give(&powered, 1, length, value);
        case SCARD_ATTR_ATR_STRING:
            tag = TAG_IFD_ATR;
            break;
        case SCARD_ATTR_DEVICE_FRIENDLY_NAME:
        case SCARD_ATTR_DEVICE_SYSTEM_NAME:
            return IFD_ERROR_TAG; /* the daemon knows them */
        default:
            break;
    }
    return ((RESPONSECODE(*)(DWORD, DWORD, PDWORD, PUCHAR))real("IFDHGetCapabilities"))(lun, tag, length, value);
}
